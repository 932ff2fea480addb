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

/**
 * Add a row to the audit log; the last statement of its transaction, as until the end of that nobody else can add one. Its
 * place in the chain is given by the database (the migration's trigger).
 */
export const record = async (
  tx: Tx,
  { at, address, actor }: { at: Date; address: string | null; actor: Actor },
  action: string,
  { target, before = null, after = null }: Change = {},
): Promise<void> => {
  await tx.insert(audit).values({
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
}

/** The same of whoever sent this request. */
export const note = (tx: Tx, c: Context<AppEnv>, action: string, change: Change = {}): Promise<void> => {
  const { caller } = c.var
  const actor = change.actor ?? (caller ? { kind: caller.kind, id: caller.id } : STRANGER)
  return record(tx, { at: c.env.now(), address: c.env.address, actor }, action, change)
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
