import { ANSWER_LIFE_MS, type Answer, answerOf, decisionOf, type Reason, type Scan } from '../contract/scan.ts'
import type { Db } from '../platform.ts'

type Verdict = {
  reason: Reason
  receivedAt: Date
  bridgeId: string
  openMs: number
  cardId: string | undefined
  personId: string | undefined
  /** That person's. */
  name: string | undefined
}

type Kept = { id: string; reason: Reason; receivedAt: string | Date; openMs: number; name: string | null | undefined }

/**
 * Write the scan down, once, and say what is on record: a repeated scan id gets the first answer again, whole, whatever
 * has changed since. The statement is its own transaction, so what it returns is committed. A pin is never written.
 * The name goes out where it is wanted, and of nobody but whom the record lets in.
 */
export const record = async (db: Db, scan: Scan, verdict: Verdict, want: readonly 'name'[]): Promise<Answer> => {
  const sql = db.$client
  const { reason, receivedAt, bridgeId, openMs, cardId = null, personId = null, name } = verdict
  const source = scan.decided ? 'reader' : 'online'
  const [written] = await sql<Omit<Kept, 'name'>[]>`
    insert into events
      (id, at, received_at, reader_id, card_number, card_id, person_id, decision, reason, source, bridge_id, open_ms)
    values
      (${scan.id}, ${new Date(scan.at).toISOString()}, ${receivedAt.toISOString()}, ${scan.readerId}, ${scan.card}, ${cardId}, ${personId},
       ${decisionOf(reason)}, ${reason}, ${source}, ${bridgeId}, ${openMs})
    on conflict (id) do nothing
    returning id, reason, received_at as "receivedAt", open_ms as "openMs"`
  return answer(written ? { ...written, name } : await firstAnswer(db, scan.id), want)
}

/** UTF-16 units, as the answer's schema counts them. */
const MOST_OF_A_NAME = 200

const firstAnswer = async (db: Db, id: string): Promise<Kept> => {
  const [kept] = await db.$client<Kept[]>`
    select id, reason, received_at as "receivedAt", open_ms as "openMs",
      (select name from people where id = person_id) as name
    from events where id = ${id}`
  if (!kept) throw new Error(`scan ${id} was neither written nor found`)
  return kept
}

const answer = ({ id, reason, receivedAt, openMs, name }: Kept, want: readonly 'name'[]): Answer => ({
  scan: id,
  decision: answerOf(reason),
  reason,
  openMs: reason === 'granted' ? openMs : 0,
  expiresAt: new Date(new Date(receivedAt).getTime() + ANSWER_LIFE_MS).toISOString(),
  ...(reason === 'granted' && name && want.includes('name') && { name: name.slice(0, MOST_OF_A_NAME).toWellFormed() }),
})
