import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type CardView, keyOfScan } from '../../api/contract/card-views.ts'
import { settingVars } from '../../api/contract/reader-topics.ts'
import type { Settings } from '../../api/contract/site.ts'
import { DOOR_PROFILES } from '../door-profiles/door-profiles.ts'
import { readerOf } from '../testing/reader.ts'
import { hear, type Listened, topicsOf } from './hear.ts'
import type { Effect, Heard, Message, Profile } from './profile.ts'
import { known, PROFILES } from './profiles.ts'
import { messagesOf, openingVars } from './tell.ts'

/* What no message can do, whatever its bytes are and whoever sends it. */

const NOW = new Date(1_700_000_000_000)
/** What firmwares say, by the profile that hears it. */
const CALLED: Readonly<Record<string, string>> = {
  karty: 'plain',
  oxrs: 'json',
  z2m: 'z2m-lock',
  wirenboard: 'value-relay',
}
const LINES: readonly { profile: string; payload: string }[] = readFileSync(
  new URL('fixtures.jsonl', import.meta.url),
  'utf8',
)
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line))
  .filter(({ dir }) => dir === 'in')
const payloadsOf = ({ name }: Profile): readonly string[] => {
  const own = LINES.filter(({ profile }) => (CALLED[profile] ?? profile) === name).map(({ payload }) => payload)
  return own.length > 0 ? own : ['1', '{}']
}

/** A value for every setting, so that every line of the profile listens and every effect can go out. */
const settingsFor = (profile: Profile): Settings =>
  Object.fromEntries(
    Object.entries(profile.settings).map(([name, { kind, choices = [], min = 1 }]) => {
      if (kind === 'number') return [name, Math.max(min, 1)]
      if (kind === 'boolean') return [name, true]
      if (kind === 'choice') return [name, choices.at(-1) ?? '']
      if (kind === 'pointer') return [name, name === 'cardAt' ? '/uid' : '']
      return [name, `own-${name}`]
    }),
  )

const listenersOf = (profile: Profile): Listened[] => {
  const settings = settingsFor(profile)
  const views: readonly CardView[] = profile.views.length > 0 ? profile.views : ['text']
  return views.flatMap((cardView): Listened[] => {
    const [template] = profile.topics
    if (template === undefined) {
      const reader = { topic: String(settings['topic'] ?? ''), unit: null, cardView }
      return [{ reader, profile, vars: settingVars(profile.settings, settings) }]
    }
    const topic = template.replaceAll(/\{\w+(\.\.\.|\/)?\}/g, (_, many) => (many === '/' ? 'a/' : 'own'))
    const reader = { profile: profile.name, topic, cardView, replyTopic: 'own/reply' }
    const needed = Object.fromEntries(Object.entries(settings).filter(([name]) => profile.settings[name]?.required))
    return [settings, needed].map((chosen) => {
      const found = known(readerOf({ ...reader, settings: chosen }))
      if (!found) throw new Error(`${profile.name} is not in the list`)
      return found
    })
  })
}

const LISTENERS = [...PROFILES, ...DOOR_PROFILES].flatMap(listenersOf)

const nasty = fc.constantFrom<unknown>(
  '__proto__',
  'a/b',
  '../#',
  '+',
  '$SYS/x',
  '{topic}',
  '{replyTopic}',
  '"}',
  '\0',
  '\ud800',
  '９９',
  '0'.repeat(200),
  'A'.repeat(5000),
  Number.MAX_VALUE,
  -0,
  2 ** 53,
  null,
  true,
  [],
  {},
  { constructor: { name: 'x' } },
)
const anything = fc.oneof(nasty, fc.jsonValue({ maxDepth: 3 }), fc.string({ maxLength: 30, unit: 'binary' }))

/** A message as a firmware sends it, in which some value is another. */
const bentOf = (profile: Profile) =>
  fc
    .tuple(fc.constantFrom(...payloadsOf(profile)), fc.nat(20), anything, fc.boolean())
    .map(([payload, place, value, isKey]) => {
      let left = place
      const walk = (node: unknown): unknown => {
        if (left-- === 0) return isKey ? { [JSON.stringify(value) ?? '']: node } : value
        if (Array.isArray(node)) return node.map(walk)
        if (typeof node !== 'object' || node === null) return node
        return Object.fromEntries(Object.entries(node).map(([key, inner]) => [key, walk(inner)]))
      }
      try {
        return JSON.stringify(walk(JSON.parse(payload))) ?? ''
      } catch {
        return payload.slice(0, place) + (JSON.stringify(value) ?? '')
      }
    })

const strange = fc.oneof(
  anything.map((value) => JSON.stringify(value) ?? ''),
  fc.constantFrom(
    '['.repeat(60_000),
    '{"a":'.repeat(12_000),
    '{"__proto__":{"uid":"DE0BA996"}}',
    `{"uid":${'9'.repeat(400)}}`,
  ),
  fc.string({ maxLength: 140, unit: 'binary' }),
)

const payloadOf = (profile: Profile): fc.Arbitrary<Buffer> => {
  const asText = (said: fc.Arbitrary<string>) => said.map((words) => Buffer.from(words))
  return fc.oneof(
    { weight: 4, arbitrary: asText(fc.constantFrom(...payloadsOf(profile))) },
    { weight: 8, arbitrary: asText(bentOf(profile)) },
    { weight: 2, arbitrary: asText(strange) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300, size: 'max' }).map((bytes) => Buffer.from(bytes)) },
  )
}

const came = fc.constantFrom(...LISTENERS).chain((as) =>
  fc.record({
    as: fc.constant(as),
    topic: fc.oneof(fc.constant(as.reader.topic), fc.constantFrom(...topicsOf(as), as.reader.topic)),
    payload: payloadOf(as.profile),
    retained: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  }),
)

const heardBy = ({ as, ...message }: { as: Listened; topic: string; payload: Buffer; retained: boolean }): Heard[] => {
  const heard = hear(as, message, NOW)
  return 'dropped' in heard ? [] : heard
}

test('property: no message crashes a profile, and what it takes for a card is one in the reader’s view', () => {
  fc.assert(
    fc.property(came, (message) => {
      for (const one of heardBy(message)) {
        if (one.is === 'scan' || one.is === 'record') {
          expect(one.card).toMatch(/^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/)
          expect(keyOfScan(message.as.reader.cardView, one.card)).toBeDefined()
          expect(message.as.profile.topics).not.toEqual([])
        }
        if (one.is === 'pin') expect(one.pin).toMatch(/^\d{1,16}$/)
        if (message.retained) expect(one.is).not.toMatch(/^(?:scan|pin|record|rex)$/)
      }
    }),
    { numRuns: 700 },
  )
})

test('property: on a topic that is not the reader’s, nothing is said', () => {
  fc.assert(
    fc.property(came, fc.string({ maxLength: 20 }), (message, topic) => {
      fc.pre(!topicsOf(message.as).includes(topic))
      expect(heardBy({ ...message, topic })).toEqual([])
    }),
    { numRuns: 200 },
  )
})

/** A profile's template with what is the reader's own in it: what came in a message may stand for one level, and no more. */
const allowed = ({ vars }: Listened, { topic }: Effect): RegExp => {
  const source = topic
    .split(/(\{\w+(?:\.\.\.|\/)?\})/)
    .map((part) => {
      const [, name] = /^\{(\w+)(?:\.\.\.|\/)?\}$/.exec(part) ?? []
      const own = name !== undefined && Object.hasOwn(vars, name) ? String(vars[name]) : undefined
      return name !== undefined && own === undefined
        ? '[^/+#$]+'
        : (own ?? part).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
    })
    .join('')
  return new RegExp(`^${source}$`, 'u')
}

const saidBy = (as: Listened, heard: Heard): Message[] => {
  const vars = { ...as.vars, ...openingVars(3000, NOW, NOW), id: 'x', reason: 'granted', name: 'Eva', card: 'DE0BA996' }
  return [
    ...heard.reply,
    ...messagesOf(as.profile.grant, vars, heard.vars),
    ...messagesOf(as.profile.deny, vars, heard.vars),
  ]
}

test('property: no message makes the bridge publish outside of the reader’s own topics', () => {
  fc.assert(
    fc.property(came, (message) => {
      const { as } = message
      const { grant, deny, hears } = as.profile
      const effects = [...grant.flat(), ...deny.flat(), ...hears.flatMap(({ reply = [] }) => reply)]
      for (const { topic, payload: told } of heardBy(message).flatMap((one) => saidBy(as, one))) {
        expect(effects.some((effect) => allowed(as, effect).test(topic))).toBe(true)
        if (told.startsWith('{')) expect(() => JSON.parse(told)).not.toThrow()
      }
    }),
    { numRuns: 700 },
  )
})

test('property: what a message says its device is called is one level of a topic, or nothing is published', () => {
  const name = fc.oneof(nasty, fc.string({ maxLength: 12, unit: fc.constantFrom(...'ab/+#$', ' ') }), anything)
  const topic = 'access_device/v2/event/access_online'
  const as = known(readerOf({ profile: 'vf-access', topic, cardView: 'hex' }))
  if (!as) throw new Error('no such profile')
  fc.assert(
    fc.property(name, (uuid) => {
      const said = JSON.stringify({ serialNo: '1', uuid, data: { type: '200', code: 'DE0BA996' } })
      const messages = heardBy({ as, topic, payload: Buffer.from(said), retained: false }).map((one) => saidBy(as, one))
      const levels = messages.flat().map((message) => message.topic.split('/'))
      expect(levels.every((level) => level.length === 5 && level[3] === String(uuid))).toBe(true)
      expect(messages.flat().some((message) => /[+#$]/.test(message.topic))).toBe(false)
    }),
    { numRuns: 300 },
  )
})
