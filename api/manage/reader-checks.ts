import { and, eq, ne, sql } from 'drizzle-orm'
import type { Tx } from '../audit/audited.ts'
import { type Mistake, mistakesIn, profileNamed } from '../contract/profiles.ts'
import { answerTopics, scanTopics } from '../contract/reader-topics.ts'
import { readers as table } from '../db/schema.ts'
import { InvalidFields, invalid, refuse } from '../errors.ts'
import { refuseClashesWithDoors } from './door-checks.ts'

// What is asked of a reader as it would be after it was saved, whichever of its fields was sent.

export type Saved = Pick<
  typeof table.$inferSelect,
  'profile' | 'topic' | 'replyTopic' | 'unit' | 'settings' | 'cardView' | 'pinScheduleId' | 'pinAlone'
> & { id?: string }

/** Everything that its profile has against it, in one answer. */
export const refuseMistakes = (reader: Saved): void => {
  const mistakes = [...mistakesIn(reader), ...keypadMistakes(reader)]
  if (mistakes.length > 0) throw new InvalidFields(mistakes)
}

/** Who cannot type a PIN would stand before a door that asks for one. */
const keypadMistakes = ({ profile: name, pinScheduleId, pinAlone }: Saved): Mistake[] => {
  if (profileNamed(name)?.keypad !== 'none') return []
  const message = `readers of the profile ${name} have no keypad`
  return [
    ...(pinScheduleId === null ? [] : [{ path: 'pinScheduleId', message }]),
    ...(pinAlone ? [{ path: 'pinAlone', message }] : []),
  ]
}

/**
 * No topic may have two meanings: where readers share one, each needs a unit; and nothing that is published for a reader
 * or a door may be read as a scan, of this or of another one. What is asked here stays so until the transaction ends.
 */
export const refuseClashes = async (tx: Tx, reader: Saved): Promise<void> => {
  refuseOwnEcho(reader)
  await tx.execute(sql`lock table ${table} in share row exclusive mode`)
  await refuseShared(tx, reader)
  await refuseEcho(tx, reader)
  await refuseClashesWithDoors(tx, reader)
}

const others = ({ id }: Saved) => (id === undefined ? undefined : ne(table.id, id))

/** Any of those that are there will do: they agree with each other. That no two are the same, an index sees to. */
const refuseShared = async (tx: Tx, reader: Saved): Promise<void> => {
  const [other] = await tx
    .select({ name: table.name, profile: table.profile, unit: table.unit })
    .from(table)
    .where(and(eq(table.topic, reader.topic), others(reader)))
    .limit(1)
  if (!other || (other.unit === null && reader.unit === null)) return
  if (other.unit === null || reader.unit === null) {
    refuse(409, `“${other.name}” listens on this topic too: where readers share a topic, each of them needs a unit.`)
  }
  if (other.profile !== reader.profile) {
    refuse(
      409,
      `“${other.name}” listens on this topic with the profile ${other.profile}: a topic is shared by one kind only.`,
    )
  }
}

/** A profile may well answer where it hears; what was chosen for this reader may not make it so. */
const refuseOwnEcho = (reader: Saved): void => {
  if (reader.topic === reader.replyTopic) invalid('replyTopic', 'must not be the topic of the scans')
  const heard = [...scanTopics(reader)]
  for (const [template, topic] of answerTopics(reader)) {
    if (heard.some(([other, where]) => where === topic && other !== template)) {
      invalid('topic', `is read as scans where answers are published: ${topic}`)
    }
  }
}

/** The topics of most profiles are made of several things, so they are compared here and not by the database. */
const refuseEcho = async (tx: Tx, reader: Saved): Promise<void> => {
  const [heard, told] = [new Set(scanTopics(reader).values()), new Set(answerTopics(reader).values())]
  const { name, profile, topic, replyTopic, unit, settings } = table
  const rows = await tx.select({ name, profile, topic, replyTopic, unit, settings }).from(table).where(others(reader))
  for (const other of rows) {
    // Devices that share a topic share what their profile does with it.
    if (other.topic === reader.topic) continue
    const hears = [...scanTopics(other).values()]
    const shared = hears.find((where) => heard.has(where))
    if (shared !== undefined) refuse(409, `“${other.name}” already hears cards or PINs on ${shared}.`)
    if (hears.some((where) => told.has(where)) || [...answerTopics(other).values()].some((where) => heard.has(where))) {
      refuse(409, `Answers would be read as scans: “${other.name}” uses the same topic the other way round.`)
    }
  }
}
