import { Hono } from 'hono'
import * as v from 'valibot'
import { audited, type Tx } from '../audit/audited.ts'
import { changed, locked } from '../audit/rows.ts'
import { type Kind, passwordOf, usernameOf } from '../broker/accounts.ts'
import { readSite } from '../broker/current.ts'
import { rulesOf } from '../broker/rules.ts'
import { bridges, doors, readers } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { may } from '../login/guard.ts'
import { recentProof } from '../login/proof.ts'
import type { AppEnv, Platform } from '../platform.ts'
import { body, Id, param } from '../validate.ts'

const topics = v.array(v.string())
const BrokerAccount = v.object({
  id: Id,
  username: v.string(),
  password: v.string(),
  publish: topics,
  subscribe: topics,
  refused: v.array(v.object({ action: v.picklist(['publish', 'subscribe']), topic: v.string(), reason: v.string() })),
})

const Rotate = v.strictObject({ rotate: v.boolean() })

/** A device's name and password at the broker, and what it may do there. */
const accountOf = async (
  tx: Pick<Tx, 'select'>,
  { config, now }: Platform,
  kind: Kind,
  id: string,
  generation: number,
) => {
  const { accounts } = rulesOf(await readSite(tx), now())
  const username = usernameOf(kind, id)
  const { publish = [], subscribe = [], refused = [] } = accounts.get(username) ?? {}
  const password = await passwordOf(config.APP_KEY, kind, id, generation)
  return { id, username, password, publish: [...publish], subscribe: [...subscribe], refused: [...refused] }
}

/** What is on record of it: who saw or changed the password, and never the password. */
const seen = (kind: Kind, id: string, brokerGeneration: number) => ({
  target: { kind, id },
  after: { username: usernameOf(kind, id), brokerGeneration },
})

const ofDevice = (kind: 'reader' | 'door') => {
  const table = kind === 'reader' ? readers : doors
  return new Hono<AppEnv>().post(
    '/:id/broker-account',
    may(`${kind}s:write`),
    doc(
      `${kind}s`,
      `Show the account of a ${kind} at the broker, and what it may do there; with \`rotate\` it gets a new password, and the old one is good no more`,
      { schema: BrokerAccount },
    ),
    param('id'),
    body(Rotate),
    async (c) => {
      const { id } = c.req.valid('param')
      const { rotate } = c.req.valid('json')
      const account = await audited(c, `${kind}s.broker-account`, async (tx) => {
        const { brokerGeneration } = await locked(tx, table, kind, id)
        const generation = brokerGeneration + (rotate ? 1 : 0)
        if (rotate) await changed(tx, table, kind, id, { brokerGeneration: generation })
        return { ...seen(kind, id, generation), answer: await accountOf(tx, c.env, kind, id, generation) }
      })
      return c.json(account)
    },
  )
}

/** Of everything that has an account at the broker. A password is derived, so it can be shown again; each time it is on record. */
export const brokerAccounts = new Hono<AppEnv>()
  .route('/readers', ofDevice('reader'))
  .route('/doors', ofDevice('door'))
  .post(
    '/bridges/:id/broker-account',
    may('bridges:write'),
    recentProof,
    doc(
      'bridges',
      'Show the account of a bridge at the broker; a new key of the bridge (`rotate`) is a new password too',
      {
        schema: BrokerAccount,
      },
    ),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      const account = await audited(c, 'bridges.broker-account', async (tx) => {
        const { generation } = await locked(tx, bridges, 'bridge', id)
        return { ...seen('bridge', id, generation), answer: await accountOf(tx, c.env, 'bridge', id, generation) }
      })
      return c.json(account)
    },
  )
