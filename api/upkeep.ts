import { eq } from 'drizzle-orm'
import type { Tx } from './audit/audited.ts'
import { type TASKS, upkeep } from './db/schema.ts'

export type Task = (typeof TASKS)[number]

/** Writes down that a task was done, and what of it is for its next time. */
export const done = async (tx: Tx, task: Task, at: Date, detail: Record<string, unknown> = {}): Promise<void> => {
  const now = { triedAt: at, doneAt: at, error: null, detail }
  await tx
    .insert(upkeep)
    .values({ task, ...now })
    .onConflictDoUpdate({ target: upkeep.task, set: now })
}

/** Writes down that a task was tried in vain; when it was last done, and what was kept of that, stays. */
export const failed = async (tx: Tx, task: Task, at: Date, error: string): Promise<void> => {
  const now = { triedAt: at, error: error.slice(0, 500) }
  await tx
    .insert(upkeep)
    .values({ task, ...now })
    .onConflictDoUpdate({ target: upkeep.task, set: now })
}

/** When a task was last tried and done, and what is kept of that; undefined where it never was. */
export const lastOf = async (db: Pick<Tx, 'select'>, task: Task): Promise<typeof upkeep.$inferSelect | undefined> => {
  const [row] = await db.select().from(upkeep).where(eq(upkeep.task, task))
  return row
}
