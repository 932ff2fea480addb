import { eq } from 'drizzle-orm'
import { decide, type Facts, type PinFact } from '../contract/decide.ts'
import { PIN_ALONE, type Scan } from '../contract/scan.ts'
import { events } from '../db/schema.ts'
import { addFailure, type Count, clear, keyFor, longestWait, type Pace, rowsOf, takeTurns } from '../login/attempts.ts'
import type { Db, Platform } from '../platform.ts'
import { type Gathered, gatherFacts } from './facts.ts'
import { ownerOfPin } from './pins.ts'

const QUARTER_HOUR_MS = 900_000

/** Five wrong ones, then a minute's wait that doubles with each further one, to a quarter of an hour. */
const FIVE: Pace = { free: 5, firstS: 60, mostS: 900, forgetMs: QUARTER_HOUR_MS }
/** The same after twenty at one reader, whoever's: one is forgotten each 45 s. */
const TWENTY: Pace = { free: 20, firstS: 60, mostS: 900, forgetMs: QUARTER_HOUR_MS / 20 }

type Env = Pick<Platform, 'config' | 'doorDb'>
type Known = Omit<Gathered, 'facts'> & { facts: Facts }

/**
 * What was typed, held against what is known: the facts with what became of it. It is looked at only where it is all that is
 * missing, so that nobody learns or locks anything with a card that opens nothing anyway; a scan without one costs nothing.
 */
export const withPin = async (env: Env, scan: Scan, known: Known, at: Date): Promise<Known> => {
  const { id, readerId, card, pin } = scan
  if (pin === undefined) return known
  const reason = decide(known.facts, at)
  const count = async (kind: Count['kind'], pace: Pace, ...whom: string[]): Promise<Count> => ({
    kind,
    pace,
    key: await keyFor(env.config.APP_KEY, ['pin', ...whom]),
  })
  // A reader is to PINs what an address is to passwords: whoever knows one PIN does not clear it for guessing others.
  const atReader = () => count('address', TWENTY, 'reader', readerId)

  const personId = known.facts.cards[0]?.person.id
  if (reason === 'pin_required' && personId !== undefined) {
    const counts = [await count('anywhere', FIVE, 'person', personId), await atReader()]
    const tried = await attempt(env.doorDb, counts, id, at, (tx) => ownerOfPin(tx, env.config, pin, personId))
    return { ...known, facts: { ...known.facts, pin: tried.pin } }
  }
  // In a lockdown it may be somebody who is exempt.
  const isNobody = reason === 'unknown_card' || (reason === 'lockdown' && personId === undefined)
  if (isNobody && card === PIN_ALONE && known.pinAlone) {
    const counts = [await count('address', FIVE, 'alone', readerId), await atReader()]
    const tried = await attempt(env.doorDb, counts, id, at, (tx) => ownerOfPin(tx, env.config, pin))
    const whose = tried.owner === undefined ? known : await gatherFacts(env.doorDb, readerId, { personId: tried.owner })
    return { ...whose, facts: { ...whose.facts, late: known.facts.late, pin: tried.pin } }
  }
  return known
}

/**
 * One attempt, if one may be made. Whoever shares a count waits for the other, so that to look, to check and to count are one
 * step: many at once learn no more than as many one by one. A scan that is on record already has its answer, and counts
 * nothing more.
 */
const attempt = (
  db: Db,
  counts: Count[],
  scanId: string,
  at: Date,
  check: (tx: Pick<Db, 'select' | 'update'>) => Promise<string | undefined>,
): Promise<{ pin: PinFact; owner?: string }> =>
  db.transaction(async (tx) => {
    await takeTurns(tx, counts)
    const [before] = await tx.select({ id: events.id }).from(events).where(eq(events.id, scanId))
    if (before) return { pin: 'none' }
    if (longestWait(counts, await rowsOf(tx, counts), at) > 0) return { pin: 'locked' }
    const owner = await check(tx)
    if (owner === undefined) await addFailure(tx, counts, at)
    else await clear(tx, counts)
    return owner === undefined ? { pin: 'wrong' } : { pin: 'right', owner }
  })
