import { inArray } from 'drizzle-orm'
import { keysOfCard } from '../contract/card-views.ts'
import * as t from '../db/schema.ts'
import type { Db } from '../platform.ts'

// A small site to try a first scan with. Fixed ids, so that it can be taken away again without touching anything else.

const id = (n: number) => `00000000-0000-7000-8000-${n.toString().padStart(12, '0')}`

const READER = { id: id(1), name: 'Front door', topic: '/dilny/rfid/Tag', replyTopic: '/dilny/open' }
const STAFF = { id: id(2), name: 'Staff' }
const CLEANERS = { id: id(3), name: 'Cleaners' }
const OFFICE_HOURS = {
  id: id(4),
  name: 'Office hours',
  windows: [{ days: [1, 2, 3, 4, 5], from: '07:00', to: '17:30' }],
}
const ALWAYS = { id: id(5), groupId: STAFF.id }
const IN_OFFICE_HOURS = { id: id(6), groupId: CLEANERS.id, scheduleId: OFFICE_HOURS.id }
const ADA = { id: id(7), name: 'Ada Demo' }
const BEN = { id: id(8), name: 'Ben Demo' }
const EVA = { id: id(9), name: 'Eva Demo' }
const CARDS = [
  { id: id(10), personId: ADA.id, number: '6159760', form: 'decimal' as const },
  { id: id(11), personId: BEN.id, number: 'DE0BA996', form: 'hex' as const },
  { id: id(12), personId: EVA.id, number: '4B00423C15', form: 'hex' as const, status: 'lost' as const },
]

/** The reader and the card of the one line that the first start prints. */
export const DEMO_SCAN = { reader: READER, card: '6159760' }

export const addDemo = async (db: Db, timezone: string): Promise<void> => {
  await db.transaction(async (tx) => {
    await tx.insert(t.readers).values({ ...READER, profile: 'plain', cardView: 'decimal', timezone, openMs: 3_000 })
    await tx.insert(t.groups).values([STAFF, CLEANERS])
    await tx.insert(t.schedules).values(OFFICE_HOURS)
    await tx.insert(t.rules).values([ALWAYS, IN_OFFICE_HOURS])
    await tx
      .insert(t.ruleReaders)
      .values([ALWAYS, IN_OFFICE_HOURS].map((rule) => ({ ruleId: rule.id, readerId: READER.id })))
    await tx.insert(t.people).values([ADA, BEN, EVA])
    await tx.insert(t.groupPeople).values([
      { groupId: STAFF.id, personId: ADA.id },
      { groupId: CLEANERS.id, personId: BEN.id },
      { groupId: STAFF.id, personId: EVA.id },
    ])
    await tx.insert(t.cards).values(CARDS)
    await tx
      .insert(t.cardKeys)
      .values(CARDS.flatMap((card) => keysOfCard(card).map((key) => ({ ...key, cardId: card.id }))))
  })
}

/** Takes the demo site away, the record of its scans excepted. Fails when something else has come to depend on it. */
export const removeDemo = async (db: Db): Promise<void> => {
  const ids = Array.from({ length: 12 }, (_, i) => id(i + 1))
  await db.transaction(async (tx) => {
    for (const table of [t.rules, t.schedules, t.cards, t.people, t.groups, t.readers]) {
      await tx.delete(table).where(inArray(table.id, ids))
    }
  })
}
