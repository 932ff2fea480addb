import { and, desc, gte, inArray, lte } from 'drizzle-orm'
import { networkOf } from '../address.ts'
import { audit } from '../db/schema.ts'
import type { Db } from '../platform.ts'
import { bursts } from './bursts.ts'
import type { Finding } from './finding.ts'

/** Somebody gave a wrong password or code: at sign-in, with a link that was mailed, or to show again who they are. */
const FAILURES = ['login.failed', 'login.reset.failed', 'me.proof.failed']
const WITHIN_MS = 10 * 60_000
const LEAST = 10
/** Of one look; the newest count. */
const MOST = 2_000

/** `account` is null where nobody has the e-mail that was typed. */
type Failure = { at: Date; number: number; account: string | null; address: string | null }

const windows = (failures: readonly Failure[]) =>
  bursts(failures, { within: WITHIN_MS, least: LEAST, tell: ({ number }) => String(number) })

const by = (failures: readonly Failure[], key: (one: Failure) => string | null): [string, Failure[]][] => {
  const groups = Map.groupBy(failures, key)
  return [...groups].flatMap(([id, all]): [string, Failure[]][] => (id === null || id === '' ? [] : [[id, all]]))
}

/** Ten within ten minutes for one account; or from one address, unless they were all for one account, which is the same burst. */
export const failedSignIns = (failures: readonly Failure[]): Finding[] => {
  const kind = 'failed_sign_ins'
  const ofAccounts = by(failures, ({ account }) => account).flatMap(([accountId, all]) =>
    windows(all).map((window) => ({ about: accountId, window, detail: { accountId, failures: window.length } })),
  )
  const ofAddresses = by(failures, ({ address }) => networkOf(address)).flatMap(([address, all]) =>
    windows(all)
      .filter((window) => new Set(window.map(({ account }) => account)).size > 1 || window[0]?.account === null)
      .map((window) => ({ about: address, window, detail: { address, failures: window.length } })),
  )
  return [...ofAccounts, ...ofAddresses].flatMap(({ about, window: [first], detail }) =>
    first ? [{ kind, about, since: first.at, detail }] : [],
  )
}

/** What is found around these rows of the audit log. */
export const findFailedSignIns = async (db: Db, numbers: readonly number[]): Promise<Finding[]> => {
  const isFailure = inArray(audit.action, FAILURES)
  const fresh = await db
    .select({ at: audit.at })
    .from(audit)
    .where(and(inArray(audit.number, [...numbers]), isFailure))
  if (fresh.length === 0) return []
  const times = fresh.map(({ at }) => at.getTime())
  const around = and(
    gte(audit.at, new Date(Math.min(...times) - WITHIN_MS)),
    lte(audit.at, new Date(Math.max(...times) + WITHIN_MS)),
  )
  const failures = await db
    .select({ at: audit.at, number: audit.number, account: audit.targetId, address: audit.address })
    .from(audit)
    .where(and(around, isFailure))
    .orderBy(desc(audit.at), desc(audit.number))
    .limit(MOST)
  return failedSignIns(failures)
}
