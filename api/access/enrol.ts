import { and, eq, gt } from 'drizzle-orm'
import { record as onAudit, type Tx } from '../audit/audited.ts'
import type { CardView } from '../contract/card-views.ts'
import { type Facts, lockdownAt } from '../contract/decide.ts'
import { decisionOf, PIN_ALONE, type Scan } from '../contract/scan.ts'
import { audit, cards, enrolments, events, readers } from '../db/schema.ts'
import type { Db } from '../platform.ts'
import { writeKeys } from './card-keys.ts'
import { cardOfScan } from './card-of-scan.ts'

type Waiting = { id: string; personId: string; label: string | null; view: CardView }
type Arrived = { at: Date; bridgeId: string }

/**
 * A card that nobody has, at a reader that is in use and not locked down, of just now: only such a one can be enrolled. A reader that let it in
 * by itself knows it, whatever we do, and that is what has to be on record.
 */
export const isNobodys = (scan: Scan, facts: Pick<Facts, 'reader' | 'cards' | 'late'>, at: Date) =>
  facts.cards.length === 0 &&
  !facts.late &&
  facts.reader?.enabled === true &&
  !lockdownAt(facts, at) &&
  scan.decided !== 'granted' &&
  scan.card !== PIN_ALONE

/** Thrown so that nothing of it stays: the scan became on record meanwhile. */
const ON_RECORD = new Error('the scan is on record already')

/**
 * Give a card that nobody knows to whom an enrolment at this reader waits for, and record the scan as `enrolled`. Asked
 * only of unknown cards, which are rare, so that every other scan costs nothing; most often nobody waits, and it is one
 * probe of a small index. Whatever else comes of it, the scan is then recorded as any other is.
 */
export const enrol = async (db: Db, scan: Scan, arrived: Arrived): Promise<void> => {
  const sql = db.$client
  const [waits] = await sql`
    select from enrolments
    where reader_id = ${scan.readerId} and state = 'waiting' and expires_at > ${arrived.at.toISOString()}`
  if (!waits) return
  const taken = db.transaction((tx) => take(tx, scan, arrived))
  await taken.catch((thrown) => {
    if (thrown !== ON_RECORD) throw thrown
  })
}

/** The enrolment is locked first: of two scans at once one finds it waiting, and the other finds it done. */
const take = async (tx: Tx, scan: Scan, arrived: Arrived) => {
  const waiting = await waitingAt(tx, scan.readerId, arrived.at)
  if (!waiting || (await isOnRecord(tx, scan.id))) return
  const shown = cardOfScan(waiting.view, scan.card)
  if ('note' in shown) {
    await tx.update(enrolments).set({ state: 'refused', note: shown.note }).where(eq(enrolments.id, waiting.id))
    return
  }
  const { personId, label } = waiting
  const [card] = await tx
    .insert(cards)
    .values({ ...shown.card, personId, label })
    .onConflictDoNothing()
    .returning()
  // Somebody else's since just now: it goes on waiting.
  if (!card) return
  await writeKeys(tx, card)
  await recordScan(tx, scan, arrived, { cardId: card.id, personId })
  await tx.update(enrolments).set({ state: 'enrolled', cardId: card.id }).where(eq(enrolments.id, waiting.id))
  const by = { at: arrived.at, address: null, actor: await startedBy(tx, waiting.id) }
  await onAudit(tx, by, 'enrolments.enrol', { target: { kind: 'card', id: card.id }, after: card })
}

const waitingAt = async (tx: Tx, readerId: string, at: Date): Promise<Waiting | undefined> => {
  const { id, personId, label } = enrolments
  const [waiting] = await tx
    .select({ id, personId, label, view: readers.cardView })
    .from(enrolments)
    .innerJoin(readers, eq(readers.id, enrolments.readerId))
    .where(and(eq(enrolments.readerId, readerId), eq(enrolments.state, 'waiting'), gt(enrolments.expiresAt, at)))
    .for('update', { of: enrolments })
  return waiting
}

const isOnRecord = async (tx: Tx, scanId: string) => {
  const [event] = await tx.select({ id: events.id }).from(events).where(eq(events.id, scanId))
  return event !== undefined
}

const recordScan = async (
  tx: Tx,
  scan: Scan,
  { at, bridgeId }: Arrived,
  whose: { cardId: string; personId: string },
) => {
  const { id, readerId, card: cardNumber } = scan
  const reason = 'enrolled'
  const written = await tx
    .insert(events)
    .values({
      ...{ id, readerId, cardNumber, bridgeId, reason, ...whose },
      at: new Date(scan.at),
      receivedAt: at,
      decision: decisionOf(reason),
      source: scan.decided === undefined ? 'online' : 'reader',
      openMs: 0,
    })
    .onConflictDoNothing()
    .returning({ id: events.id })
  if (written.length === 0) throw ON_RECORD
}

/** Whoever began it gave the card; who that was is on record. */
const startedBy = async (tx: Tx, enrolmentId: string) => {
  const [row] = await tx
    .select({ kind: audit.actorKind, id: audit.actorId })
    .from(audit)
    .where(and(eq(audit.targetId, enrolmentId), eq(audit.action, 'enrolments.create')))
    .limit(1)
  return row ?? { kind: 'system' as const, id: null }
}
