import { eq, inArray, sql } from 'drizzle-orm'
import { type Context, Hono } from 'hono'
import * as v from 'valibot'
import { audited, type Tx } from '../audit/audited.ts'
import { type Erasure, sealErasure } from '../audit/lawful.ts'
import { locked } from '../audit/rows.ts'
import { accounts, cards, enrolments, erasures, groupPeople, people, pins } from '../db/schema.ts'
import { doc } from '../docs.ts'
import { found, refuse } from '../errors.ts'
import { may } from '../login/guard.ts'
import { recentProof } from '../login/proof.ts'
import { lockAccount, requireGrant } from '../manage/accounts.ts'
import { Person } from '../manage/people.ts'
import type { AppEnv } from '../platform.ts'
import { param } from '../validate.ts'
import { eraseEvents } from './erase-events.ts'
import { pseudonym } from './pseudonym.ts'
import { auditAbout, type Traces, tracesOf } from './traces.ts'

/** For so long whoever asked waits for the record; what is left then is done after the answer, or tomorrow. */
const WAIT_MS = 2_000
const LATER_MS = 10 * 60_000

const Erased = v.object({
  person: Person,
  /** Names no event the person’s cards any more? If not yet, that is under way, and goes on also if this process ends. */
  finished: v.boolean(),
})

/**
 * The accounts that go with the person, locked: none that whoever asks may not delete. Nor the last owner: only an owner
 * may delete an owner, and their own is not among these.
 */
const lockAccounts = async (c: Context<AppEnv>, tx: Tx, { accounts: ids }: Traces) => {
  const { caller } = c.var
  for (const id of ids) {
    if (id === caller.id) refuse(409, 'Your own account belongs to this person: let somebody else erase them.')
    const { role } = await lockAccount(tx, id)
    requireGrant(caller, role)
  }
}

const eraseAudit = async (tx: Tx, numbers: readonly number[]): Promise<Erasure['rows']> => {
  const list = sql`(select array_agg(n::bigint) from json_array_elements_text(${JSON.stringify(numbers)}::json) as n)`
  const rows = await tx.execute<{ number: number; left: string }>(
    sql`select erased::float8 as number, "left" from erase_audit(${list}) order by 1`,
  )
  return rows.map(({ number, left }) => [number, left])
}

/** What is left of somebody: a pseudonym, of whom the record goes on speaking. */
const NOBODY = {
  ...{ email: null, employeeNumber: null, active: false, validFrom: null, validUntil: null },
  exemptFromLockdown: false,
}

const erase = (c: Context<AppEnv>, id: string) =>
  audited(c, 'people.erase', async (tx) => {
    // Owners are locked before anything else is, whoever changes accounts (lockAccount).
    await lockAccounts(c, tx, await tracesOf(tx, id))
    const { erasedAt } = await locked(tx, people, 'person', id)
    if (erasedAt !== null) refuse(409, 'This person was erased already.')
    const traces = await tracesOf(tx, id)
    await lockAccounts(c, tx, traces)
    const numbersOf = { number: cards.number, form: cards.form }
    const own = await tx.delete(cards).where(eq(cards.personId, id)).returning(numbersOf)
    // All of a long audit log is looked through for what names them.
    await tx.execute(sql`set local statement_timeout = '60s'`)
    const told = await auditAbout(tx, traces)
    const rows = await eraseAudit(tx, told.numbers)
    await tx.delete(pins).where(eq(pins.personId, id))
    await tx.delete(groupPeople).where(eq(groupPeople.personId, id))
    await tx.delete(enrolments).where(eq(enrolments.personId, id))
    if (traces.accounts.length > 0) await tx.delete(accounts).where(inArray(accounts.id, traces.accounts))
    const name = pseudonym()
    const nobody = { ...NOBODY, name, erasedAt: c.env.now() }
    const [person] = await tx.update(people).set(nobody).where(eq(people.id, id)).returning()
    await tx.insert(erasures).values({ personId: id, cards: [...own, ...told.cards] })
    const after = { name, cards: own.length, accounts: traces.accounts.length }
    const sealed = await sealErasure(c.env.config.APP_KEY, rows)
    return { target: { kind: 'person', id }, after: { ...after, ...sealed }, answer: found(person, 'person') }
  })

export const erasure = new Hono<AppEnv>().post(
  '/:id/erase',
  may('people:write'),
  recentProof,
  doc('people', 'Erase all that tells who a person is, for good; the record goes on speaking of a pseudonym', {
    schema: Erased,
  }),
  param('id'),
  async (c) => {
    const { id } = c.req.valid('param')
    const { env } = c
    const person = await erase(c, id)
    // They are erased already: what fails from here on is done later.
    const finished = await eraseEvents(env, id, env.now().getTime() + WAIT_MS).catch(() => false)
    if (!finished) {
      env.later(async () => {
        await eraseEvents(env, id, env.now().getTime() + LATER_MS).catch(() =>
          env.log('error', 'erasure_failed', { id }),
        )
      })
    }
    return c.json({ person, finished })
  },
)
