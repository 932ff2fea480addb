import { and, eq } from 'drizzle-orm'
import type { Context } from 'hono'
import { accounts, sessions } from '../db/schema.ts'
import { refuse } from '../errors.ts'
import type { AppEnv, Platform } from '../platform.ts'
import {
  addFailure,
  type Count,
  clear,
  countsOf,
  keyFor,
  longestWait,
  type Pace,
  type Paces,
  type Reads,
  rowsOf,
  takeTurns,
} from './attempts.ts'

/*
 * What somebody who guesses is slowed down by. Failures are counted in Postgres, so that all nodes know the same; each
 * one beyond a few makes the next attempt wait twice as long, and one failure is forgotten after each `forgetMs`. Nothing
 * is ever locked: a delay that others can cause for an account is short, and does not bind where it has lately signed in.
 */

const MINUTE_MS = 60_000
const QUARTER_HOUR_S = 900

/** Whoever somebody says they are, from one address: where guessing usually comes from. */
const FROM_HERE: Pace = { free: 5, mostS: QUARTER_HOUR_S, forgetMs: 15 * MINUTE_MS }
/** The same from everywhere. Short, as it binds the owner of the account too. */
const FROM_ANYWHERE: Pace = { free: 10, mostS: 30, forgetMs: MINUTE_MS }
/** One address, whoever it says it is: 20 in 15 minutes. */
const ADDRESS: Pace = { free: 20, mostS: QUARTER_HOUR_S, forgetMs: 45_000 }
/** Nobody guesses 256 bits; whoever fails that often does harm in another way. */
const ADDRESS_OF_SECRETS: Pace = { free: 100, mostS: QUARTER_HOUR_S, forgetMs: 9_000 }

/** What is limited. `whom` is an e-mail (whether an account has it or not), an account's id, or nobody at all. */
const PACES = {
  login: { here: FROM_HERE, anywhere: FROM_ANYWHERE, address: ADDRESS },
  /** A code or recovery code, by account. Whoever gets so far knows the password, so this may wait longer for all. */
  code: { here: FROM_HERE, anywhere: { ...FROM_ANYWHERE, mostS: 300 }, address: ADDRESS },
  /** The password again, by account, of somebody who is signed in. */
  proof: { here: FROM_HERE, anywhere: FROM_ANYWHERE, address: ADDRESS },
  /** Asking for mail, by e-mail: each counts, as none of them fails. */
  mail: { here: { ...FROM_HERE, free: 3 }, anywhere: { ...FROM_HERE, free: 5 }, address: ADDRESS },
  /** What a mail carried, a refresh token, an API key. */
  confirm: { address: ADDRESS },
  refresh: { address: ADDRESS_OF_SECRETS },
  key: { address: ADDRESS_OF_SECRETS },
} satisfies Record<string, Paces>

export type Limited = keyof typeof PACES

/** What somebody who is signed in may do only so often, though nobody guesses by it: sixty at once, and one more each second. */
const RATIONS = {
  commands: { free: 60, mostS: 1, forgetMs: 1_000 },
} satisfies Record<string, Pace>

/** Has whoever it is a session from this very address? Then what others fail elsewhere does not hold them up here. */
const isAtHome = async (db: Reads, address: string | null, whom: string): Promise<boolean> => {
  if (address === null) return false
  const isWhom = whom.includes('@') ? eq(accounts.email, whom) : eq(accounts.id, whom)
  const [session] = await db
    .select({ id: sessions.id })
    .from(sessions)
    .innerJoin(accounts, and(eq(accounts.id, sessions.accountId), isWhom))
    .where(eq(sessions.address, address))
    .limit(1)
  return session !== undefined
}

/** How long to wait, in milliseconds; 0 or less is not at all. */
const mustWait = async (db: Reads, { now, address }: Platform, counts: Count[], whom: string | null) => {
  const at = now()
  const rows = await rowsOf(db, counts)
  const wait = longestWait(counts, rows, at)
  if (wait <= 0) return 0
  const others = counts.filter(({ kind }) => kind !== 'anywhere')
  const less = longestWait(others, rows, at)
  return less < wait && whom !== null && (await isAtHome(db, address, whom)) ? less : wait
}

const refuseToHurry = (c: Context<AppEnv>, waitMs: number, what?: Limited): never => {
  if (what === 'login' || what === 'code') c.env.metrics.signIn('limited')
  const seconds = Math.ceil(waitMs / 1000)
  c.header('retry-after', String(seconds))
  return refuse(429, `Too many attempts. Try again in ${seconds} s.`)
}

/**
 * Try something that somebody may be guessing at. `work` gives undefined when it was wrong: that is counted, and whoever
 * was right has their own counts cleared. Who has to wait is refused with 429 before `work` is done, and also after it,
 * right or wrong, when others failed in the meantime: many guesses at once tell no more than as many one by one.
 * `whom` is the e-mail as it was typed, in lower case, or the account's id; null where only the address counts.
 * Not to be called inside a transaction.
 */
export const limited = async <T>(
  c: Context<AppEnv>,
  what: Limited,
  whom: string | null,
  work: () => Promise<T | undefined>,
): Promise<T | undefined> => {
  const { db } = c.env
  const counts = await countsOf(c.env, what, PACES[what], whom)
  const before = await mustWait(db, c.env, counts, whom)
  if (before > 0) refuseToHurry(c, before, what)

  const result = await work()

  const meantime = await db.transaction(async (tx) => {
    await takeTurns(tx, counts)
    const wait = await mustWait(tx, c.env, counts, whom)
    if (result === undefined) await addFailure(tx, counts, c.env.now())
    else if (wait <= 0) await clear(tx, counts)
    return wait
  })
  if (meantime > 0) refuseToHurry(c, meantime, what)
  return result
}

/** The same for what is neither right nor wrong, such as asking for mail: each time counts. */
export const counted = async (c: Context<AppEnv>, what: Limited, whom: string | null): Promise<void> => {
  await limited(c, what, whom, async () => undefined)
}

/**
 * A secret of 256 bits (a token, an API key) was wrong: 429 when that has happened too often from this address, else it is
 * counted. Nobody can guess one, so whoever has the right one is not asked to wait, and pays nothing for this.
 */
export const countWrongSecret = async (c: Context<AppEnv>, what: 'confirm' | 'refresh' | 'key'): Promise<void> => {
  const { db } = c.env
  const counts = await countsOf(c.env, what, PACES[what], null)
  const wait = await mustWait(db, c.env, counts, null)
  if (wait > 0) refuseToHurry(c, wait)
  await addFailure(db, counts, c.env.now())
}

/** Counts what this caller is about to do, from wherever: 429 when it was too much. Not to be called inside a transaction. */
export const rationed = async (c: Context<AppEnv>, what: keyof typeof RATIONS): Promise<void> => {
  const { config, db, now } = c.env
  const { kind, id } = c.var.caller
  const key = await keyFor(config.APP_KEY, [what, kind, id])
  const counts: Count[] = [{ kind: 'anywhere', pace: RATIONS[what], key }]
  const wait = await db.transaction(async (tx) => {
    await takeTurns(tx, counts)
    const wait = longestWait(counts, await rowsOf(tx, counts), now())
    if (wait <= 0) await addFailure(tx, counts, now())
    return wait
  })
  if (wait > 0) refuseToHurry(c, wait)
}
