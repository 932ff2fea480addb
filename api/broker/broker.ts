import { Hono } from 'hono'
import * as v from 'valibot'
import { bearerOnly } from '../bearer.ts'
import { doc } from '../docs.ts'
import { rootKeys } from '../keys.ts'
import type { AppEnv } from '../platform.ts'
import { body, jsonOnly } from '../validate.ts'
import { isPassword } from './accounts.ts'
import { currentRules } from './current.ts'
import { type Account, may, mayBeCalled } from './rules.ts'

/*
 * For brokers that ask by HTTP: EMQX 5 and what asks as it does. An answer is always 200 with a word, as EMQX takes any other
 * status for “ask somebody else”. What a device made up (a name, a client id, a topic) is therefore no bad request, whatever
 * it is: it is denied.
 */

/** The broker alone. Where there is no token nobody asks, and there is nothing at these addresses. */
const brokerOnly = bearerOnly(({ BROKER_TOKEN }) => BROKER_TOKEN, {
  nobody: 'There is nothing at this address. /docs lists what there is.',
  others: 'Only the broker may ask this: send BROKER_TOKEN as a Bearer token.',
})

/** EMQX writes what a client did not say as an empty text, as null, or leaves it out. */
const said = v.optional(v.nullable(v.string()), '')

const Connecting = v.strictObject({ clientid: said, username: said, password: said })

const Doing = v.strictObject({
  clientid: said,
  username: said,
  action: v.picklist(['publish', 'subscribe']),
  topic: said,
  qos: v.optional(v.union([v.number(), v.string()])),
  retain: v.optional(v.union([v.boolean(), v.string()]), false),
})

const result = v.picklist(['allow', 'deny'])
const Permission = v.object({
  permission: result,
  action: v.picklist(['publish', 'subscribe', 'all']),
  topic: v.string(),
})
const Connected = v.object({ result, is_superuser: v.literal(false), acl: v.optional(v.array(Permission)) })
const Done = v.object({ result })

type Line = v.InferOutput<typeof Permission>

/**
 * The same rules as EMQX 5.8 keeps them with a connection, so that it need not ask again, and a device goes on while this API
 * is away. A wildcard is allowed as it stands (`eq`), since EMQX takes `a/#` for something that fits `a/+`.
 */
const aclOf = ({ kind, publish, subscribe }: Account): Line[] => [
  ...publish.map((topic): Line => ({ permission: 'allow', action: 'publish', topic })),
  ...subscribe.map(
    (filter): Line => ({
      permission: 'allow',
      action: 'subscribe',
      topic: kind === 'bridge' || !filter.endsWith('+') ? filter : `eq ${filter}`,
    }),
  ),
  ...['#', '$SYS/#'].map((topic): Line => ({ permission: 'deny', action: 'all', topic })),
]

const refusals = [401, 404, 415, 422] as const

export const broker = new Hono<AppEnv>()
  .use(brokerOnly, jsonOnly)
  .post(
    '/authentication',
    doc('broker', 'For a broker: is this the password of this account? With what it may do, for EMQX from 5.8 on', {
      schema: Connected,
      refusals,
      anybody: true,
      unlimited: true,
    }),
    body(Connecting),
    async (c) => {
      const { clientid, username, password } = c.req.valid('json')
      const account = (await currentRules(c.env)).accounts.get(username ?? '')
      const known = await isPassword(rootKeys(c.env.config), account, password ?? '')
      return account && known && mayBeCalled(account, clientid ?? '')
        ? c.json({ result: 'allow', is_superuser: false, acl: aclOf(account) })
        : c.json({ result: 'deny', is_superuser: false })
    },
  )
  .post(
    '/authorization',
    doc('broker', 'For a broker: may this account publish on this topic, or subscribe to this filter?', {
      schema: Done,
      refusals,
      anybody: true,
      unlimited: true,
    }),
    body(Doing),
    async (c) => {
      const { clientid, username, action, topic, retain } = c.req.valid('json')
      const rules = await currentRules(c.env)
      const account = rules.accounts.get(username ?? '')
      const kept = retain === true || retain === 'true'
      if (!account || !mayBeCalled(account, clientid ?? '')) return c.json({ result: 'deny' })
      return c.json({ result: may(rules, account.username, action, topic ?? '', { retain: kept }) ? 'allow' : 'deny' })
    },
  )
