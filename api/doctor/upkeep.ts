import type { Verdict } from '../audit/verify.ts'
import { days, fault, type Line, ok, unseen, warning } from './line.ts'

// What Lintel does by itself, and when it was last done.

export type Done = { doneAt: Date | null; error: string | null; detail: Record<string, unknown> } | undefined

const DAY_MS = 86_400_000

type Duty = { check: string; what: string; ms: number; mend: string }

const DUTIES: Record<'backup' | 'backup-verified' | 'retention' | 'watch', Duty> = {
  backup: { check: 'backup', what: 'A backup was made', ms: 2 * DAY_MS, mend: 'BACKUP_DIR=…, npm run backup' },
  'backup-verified': {
    check: 'backup-verified',
    what: 'A backup was tried',
    ms: 35 * DAY_MS,
    mend: 'npm run backup -- --verify',
  },
  retention: {
    check: 'retention',
    what: 'What is too old was removed',
    ms: 2 * DAY_MS,
    mend: 'Look for retention_failed in the log of the API, which does it daily',
  },
  watch: {
    check: 'watch',
    what: 'The record was looked through',
    ms: 10 * 60_000,
    mend: 'Look for watch_failed in the log of the API, which does it every few seconds',
  },
}

const ago = (from: Date, to: Date): string => {
  const minutes = Math.max(0, Math.floor((to.getTime() - from.getTime()) / 60_000))
  if (minutes < 120) return `${minutes} minutes ago`
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} hours ago` : `${days(from, to)} days ago`
}

/** Was it done, not too long ago? */
export const duty = (task: keyof typeof DUTIES, found: Done, now: Date): Line => {
  const { check, what, ms, mend } = DUTIES[task]
  const failed = found?.error ? ` The last try failed: ${found.error}.` : ''
  if (!found?.doneAt) return fault(check, `${what}: never.${failed}`, mend)
  const why = `${what} ${ago(found.doneAt, now)}.${failed}`
  if (now.getTime() - found.doneAt.getTime() > ms) return fault(check, why, mend)
  return failed === '' ? ok(check, why) : warning(check, why, mend)
}

export const encrypted = (recipient: string | undefined): Line =>
  recipient?.startsWith('age1')
    ? ok('backup-encrypted', 'Backups are for the holder of one key alone.')
    : fault(
        'backup-encrypted',
        'Backups lie open to whoever finds one.',
        'age-keygen, and its public key: BACKUP_RECIPIENT=age1…',
      )

/** `undefined` where there are too many rows to look at them all now. */
export const auditChain = (verdict: Pick<Verdict, 'rows' | 'findings' | 'found'> | undefined): Line => {
  const check = 'audit-chain'
  if (!verdict) return unseen(check, 'the audit log is long.', 'npm run audit:verify')
  const [first] = verdict.findings
  return first === undefined
    ? ok(check, `The audit log is whole: ${verdict.rows} rows.`)
    : fault(
        check,
        `${first.detail} And ${verdict.found - 1} findings more.`,
        'npm run audit:verify -- --checkpoint (one kept elsewhere)',
      )
}
