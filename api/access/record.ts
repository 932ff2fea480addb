import { ANSWER_LIFE_MS, type Answer, type Decision, decisionOf, type Reason, type Scan } from '../contract/scan.ts'
import type { Db } from '../platform.ts'

type Verdict = {
  reason: Reason
  receivedAt: Date
  bridgeId: string
  openMs: number
  cardId: string | undefined
  personId: string | undefined
}

type Kept = { id: string; decision: Decision; reason: Reason; receivedAt: string | Date; openMs: number }

/**
 * Write the scan down, once, and say what is on record: a repeated scan id gets the first answer again, whole, whatever
 * has changed since. The statement is its own transaction, so what it returns is committed. A pin is never written.
 */
export const record = async (db: Db, scan: Scan, verdict: Verdict): Promise<Answer> => {
  const sql = db.$client
  const { reason, receivedAt, bridgeId, openMs, cardId = null, personId = null } = verdict
  const [written] = await sql<Kept[]>`
    insert into events
      (id, at, received_at, reader_id, card_number, card_id, person_id, decision, reason, source, bridge_id, open_ms)
    values
      (${scan.id}, ${new Date(scan.at).toISOString()}, ${receivedAt.toISOString()}, ${scan.readerId}, ${scan.card}, ${cardId}, ${personId},
       ${decisionOf(reason)}, ${reason}, 'online', ${bridgeId}, ${openMs})
    on conflict (id) do nothing
    returning id, decision, reason, received_at as "receivedAt", open_ms as "openMs"`
  return answer(written ?? (await firstAnswer(db, scan.id)))
}

const firstAnswer = async (db: Db, id: string): Promise<Kept> => {
  const [kept] = await db.$client<Kept[]>`
    select id, decision, reason, received_at as "receivedAt", open_ms as "openMs" from events where id = ${id}`
  if (!kept) throw new Error(`scan ${id} was neither written nor found`)
  return kept
}

const answer = ({ id, decision, reason, receivedAt, openMs }: Kept): Answer => ({
  scan: id,
  decision,
  reason,
  openMs: decision === 'granted' ? openMs : 0,
  expiresAt: new Date(new Date(receivedAt).getTime() + ANSWER_LIFE_MS).toISOString(),
})
