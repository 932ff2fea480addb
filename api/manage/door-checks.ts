import { sql } from 'drizzle-orm'
import type { Tx } from '../audit/audited.ts'
import { mistakesInDoor, saidTopics, toldTopics } from '../contract/doors.ts'
import { answerTopics, scanTopics } from '../contract/reader-topics.ts'
import { doors, readers } from '../db/schema.ts'
import { InvalidFields, invalid, refuse } from '../errors.ts'
import { isReserved, RESERVED } from './reader-fields.ts'

// What is asked of a door as it would be after it was saved, whichever of its fields was sent.

export type SavedDoor = Pick<typeof doors.$inferSelect, 'name' | 'profile' | 'settings'>
type Reader = Pick<typeof readers.$inferSelect, 'profile' | 'topic' | 'replyTopic' | 'unit' | 'settings'>

/** Everything that its profile has against it, in one answer. */
export const refuseDoorMistakes = (door: SavedDoor): void => {
  const mistakes = mistakesInDoor(door)
  if (mistakes.length > 0) throw new InvalidFields(mistakes)
}

/** No command may be read as a scan, nor an answer as what a door says of itself. */
const clash = (door: SavedDoor, reader: Reader): string | undefined => {
  const hears = new Set(scanTopics(reader).values())
  const says = new Set(saidTopics(door).values())
  return (
    [...toldTopics(door).values()].find((topic) => hears.has(topic)) ??
    [...answerTopics(reader).values()].find((topic) => says.has(topic))
  )
}

/** Of a door that is saved, with all readers. What is asked here stays so until the transaction ends. */
export const refuseDoorClashes = async (tx: Tx, door: SavedDoor): Promise<void> => {
  refuseOwnEcho(door)
  await tx.execute(sql`lock table ${readers} in share row exclusive mode`)
  const { name, profile, topic, replyTopic, unit, settings } = readers
  for (const reader of await tx.select({ name, profile, topic, replyTopic, unit, settings }).from(readers)) {
    const where = clash(door, reader)
    if (where !== undefined) refuse(409, `“${reader.name}” uses ${where} the other way round.`)
  }
}

/** Of a reader that is saved, with all doors; whoever saves a door waits for `readers`, which is locked here already. */
export const refuseClashesWithDoors = async (tx: Tx, reader: Reader): Promise<void> => {
  const { name, profile, settings } = doors
  for (const door of await tx.select({ name, profile, settings }).from(doors)) {
    const where = clash(door, reader)
    if (where !== undefined) refuse(409, `The door “${door.name}” uses ${where} the other way round.`)
  }
}

/** A profile may well hear where it tells; what was chosen for this door may not make it so. */
const refuseOwnEcho = (door: SavedDoor): void => {
  const says = [...saidTopics(door)]
  for (const [template, topic] of toldTopics(door)) {
    if (isReserved(topic)) invalid('settings', RESERVED)
    if (says.some(([other, where]) => where === topic && other !== template)) {
      invalid('settings', `commands would be heard as what the door says: ${topic}`)
    }
  }
}
