import { createHash, createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import { isInstant, isPlainText } from '../../api/contract/scan.ts'
import { readJson } from '../profiles/places.ts'

/*
 * What is signed is no JSON, which can be written in many ways, but lines that are easily made: a word that says what this
 * is, and the fields in their order, joined by line feeds. None of them can hold a line feed, so no two scans have the same
 * text, and no scan has the text of an answer.
 */

/** A reader's message as it was written; `at` is what its time means. An empty card or PIN is none. */
export type Said = { id: string; time: string; at: Date; counter: number; card: string; pin: string; mac?: string }

/** RFC 9562, version 4 or 7. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i
/** RFC 3339, with upper-case T and Z. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/
const PIN = /^\d{1,16}$/
const MOST_LETTERS = 128

/** Undefined when it is no message of this protocol, whatever the bytes are. Fields that are not known are not looked at. */
export const readSaid = (payload: Buffer): Said | undefined => {
  const read = readJson(payload.toString('utf8'))
  if (typeof read !== 'object' || read === null || Array.isArray(read)) return undefined
  const { id, time, counter, card = '', pin = '', mac } = read as Record<string, unknown>
  if (typeof id !== 'string' || !UUID.test(id)) return undefined
  const at = instantOf(time)
  if (!at) return undefined
  if (typeof counter !== 'number' || !Number.isSafeInteger(counter) || counter < 0) return undefined
  if (typeof card !== 'string' || card.length > MOST_LETTERS || !isPlainText(card)) return undefined
  if (typeof pin !== 'string' || !(pin === '' || PIN.test(pin)) || (card === '' && pin === '')) return undefined
  if (mac !== undefined && typeof mac !== 'string') return undefined
  return { id, time: String(time), at, counter, card, pin, ...(mac !== undefined && { mac }) }
}

const instantOf = (time: unknown): Date | undefined => {
  const isText = typeof time === 'string'
  if (isText ? !TIME.test(time) : typeof time !== 'number' || !Number.isSafeInteger(time) || time < 0) return undefined
  const at = new Date(isText ? time : Number(time) * 1000)
  return Number.isNaN(at.getTime()) || (isText && !isInstant(time)) ? undefined : at
}

export const scanText = (topic: string, { id, time, counter, card, pin }: Said): string =>
  ['lintel-scan-1', topic, id, time, counter, card, pin].join('\n')

/** An answer as it is published, but for its MAC; `expires` is Unix seconds. */
export type Answered = { id: string; decision: string; reason: string; openMs: number; expires: number }

export const answerText = (topic: string, { id, decision, reason, openMs, expires }: Answered): string =>
  ['lintel-answer-1', topic, id, decision, reason, openMs, expires].join('\n')

/** HMAC-SHA-256 of the text's UTF-8, in base64url without padding. */
export const macOf = (text: string, key: KeyObject): string =>
  createHmac('sha256', key).update(text).digest('base64url')

/** In a time that tells nothing of where they differ. */
export const sameMac = (one: string, other: string): boolean => {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/**
 * Lintel's id of a scan: the same whenever the same scan comes again, to whichever bridge, so that it is recorded once; and
 * of no other reader's scan, although a reader chooses what it is made from. A UUID of version 7 by form: the time is the
 * scan's own, the rest is of a SHA-256. The PIN is not in it, as an id is no secret.
 */
export const scanIdOf = (readerId: string, { id, time, at, counter, card }: Said): string => {
  const text = ['lintel-scan-id-1', readerId, id.toLowerCase(), time, counter, card].join('\n')
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16)
  bytes.writeUIntBE(Math.min(Math.max(at.getTime(), 0), 2 ** 48 - 1), 0, 6)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
