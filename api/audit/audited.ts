import type { Context } from 'hono'
import { type ACTORS, audit } from '../db/schema.ts'
import type { AppEnv, Db } from '../platform.ts'

/** A transaction, or the database itself. */
export type Tx = Pick<Db, 'select' | 'insert' | 'update' | 'delete' | 'execute'>

/**
 * What was done to what. `before` and `after` are as the API would show them: no hash, no secret. `actor` is only said
 * where nobody is signed in yet.
 */
export type Change = {
  target?: { kind: string; id: string } | undefined
  before?: unknown
  after?: unknown
  actor?: Actor
}

type Actor = { kind: (typeof ACTORS)[number]; id: string | null }

const STRANGER: Actor = { kind: 'stranger', id: null }

type By = { at: Date; address: string | null; actor: Actor }

const rowOf = (
  { at, address, actor }: By,
  action: string,
  { target, before = null, after = null }: Change,
): typeof audit.$inferInsert => ({
  at,
  actorKind: actor.kind,
  actorId: actor.id,
  address,
  action,
  targetKind: target?.kind ?? null,
  targetId: target?.id ?? null,
  before,
  after,
  // Given by the trigger.
  number: 0,
  previous: '',
  hash: '',
})

/**
 * Add a row to the audit log; the last statement of its transaction, as until the end of that nobody else can add one. Its
 * place in the chain is given by the database (the migration's trigger).
 */
export const record = async (tx: Tx, by: By, action: string, change: Change = {}): Promise<void> => {
  await tx.insert(audit).values(rowOf(by, action, change))
}

/** The same of whoever sent this request. */
export const note = (tx: Tx, c: Context<AppEnv>, action: string, change: Change = {}): Promise<void> => {
  const { caller } = c.var
  const actor = change.actor ?? (caller ? { kind: caller.kind, id: caller.id } : STRANGER)
  return record(tx, { at: c.env.now(), address: c.env.address, actor }, action, change)
}

/** So many rows are one statement. */
const AT_ONCE = 500

/** Many at once, of whoever is signed in: for what would take a statement each. */
export const noteAll = async (
  tx: Tx,
  { env, var: { caller } }: Context<AppEnv>,
  changes: readonly (Change & { action: string })[],
): Promise<void> => {
  const by = { at: env.now(), address: env.address, actor: { kind: caller.kind, id: caller.id } }
  const rows = changes.map(({ action, ...change }) => rowOf(by, action, change))
  for (let i = 0; i < rows.length; i += AT_ONCE) await tx.insert(audit).values(rows.slice(i, i + AT_ONCE))
}

/**
 * Change something, on record: the change and its row of the audit log are one transaction, so that neither is there
 * without the other. `work` gives what was changed, and the answer.
 */
export const audited = <T>(
  c: Context<AppEnv>,
  action: string,
  work: (tx: Tx) => Promise<Change & { answer: T }>,
): Promise<T> =>
  c.env.db.transaction(async (tx) => {
    const { answer, ...change } = await work(tx)
    await note(tx, c, action, change)
    return answer
  })
