import type { upkeep } from '../db/schema.ts'
import type { Task } from '../upkeep.ts'
import type { Finding } from './finding.ts'

const DAY_MS = 86_400_000
/** What is done every day and was not for two. */
const LATE_DAYS = 2
const DAILY: readonly Task[] = ['retention', 'backup']

type Kept = Pick<typeof upkeep.$inferSelect, 'task' | 'triedAt' | 'doneAt' | 'error'>

/**
 * What was tried in vain, and what is done daily and has not been for two days: told anew each day. What was never done is
 * nobody's to miss: a backup is made where somebody wants one.
 */
export const overdue = (tasks: readonly Kept[], now: Date): Finding[] =>
  tasks.flatMap(({ task, triedAt, doneAt, error }) => {
    if (task === 'watch') return []
    const days = doneAt && DAILY.includes(task) ? Math.floor((now.getTime() - doneAt.getTime()) / DAY_MS) : 0
    const late = doneAt && days >= LATE_DAYS ? new Date(doneAt.getTime() + days * DAY_MS) : undefined
    const since = error === null ? late : triedAt
    if (!since) return []
    const detail = { task, failed: error !== null, doneAt: doneAt?.toISOString() ?? null }
    return [{ kind: 'upkeep_failed', about: task, since, detail }]
  })
