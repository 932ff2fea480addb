import type { Db } from '../platform.ts'
import { done, failed, type Task } from '../upkeep.ts'

/** What is written down of a backup or of its trial, in the database that it is of. `at` is RFC 3339; `error` where it failed. */
export type Note = { task: Task; at: string; error?: string | undefined; detail?: Record<string, unknown> | undefined }

export const write = (db: Db, { task, at, error, detail }: Note): Promise<void> =>
  error === undefined ? done(db, task, new Date(at), detail) : failed(db, task, new Date(at), error)
