import type { Context } from 'hono'
import { audit } from '../db/schema.ts'
import type { AppEnv, Db } from '../platform.ts'

/** A transaction, or the database itself. */
export type Tx = Pick<Db, 'select' | 'insert' | 'update' | 'delete' | 'execute'>

/** What was done to what. `before` and `after` are as the API would show them: no hash, no secret. */
export type Change = {
  target?: { kind: string; id: string }
  before?: unknown
  after?: unknown
}

/** Add a row to the audit log. Its place in the chain is given by the database (the migration's trigger). */
export const note = async (tx: Tx, c: Context<AppEnv>, action: string, change: Change = {}): Promise<void> => {
  const { caller } = c.var
  const { target, before = null, after = null } = change
  await tx.insert(audit).values({
    at: c.env.now(),
    actorKind: caller?.kind ?? 'stranger',
    actorId: caller?.id ?? null,
    address: c.env.address,
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
