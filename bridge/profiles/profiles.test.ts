import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { CARD_VIEWS } from '../../api/contract/card-views.ts'
import { mistakesIn, topicVars } from '../../api/contract/profiles.ts'
import { DOOR_PROFILES } from '../door-profiles/door-profiles.ts'
import { readerOf } from '../testing/reader.ts'
import { PROFILES } from './profiles.ts'
import { doorInfosOf, infosOf } from './write.ts'

const ALL = [...PROFILES, ...DOOR_PROFILES]
const named = (profiles: typeof ALL) => profiles.map((profile) => [profile.name, profile] as const)

test('what the API knows of the profiles is what they are: run npm run profiles', () => {
  const written = (name: string) =>
    JSON.parse(readFileSync(new URL(`../../api/contract/${name}.json`, import.meta.url), 'utf8'))
  expect(written('profiles')).toEqual(infosOf(PROFILES))
  expect(written('doors')).toEqual(doorInfosOf(DOOR_PROFILES))
})

test('a name stands for one profile', () => {
  for (const profiles of [PROFILES, DOOR_PROFILES]) {
    const names = profiles.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
  }
})

test.for(named([...PROFILES]))('%s says where it comes from, and has views if it has cards', ([, profile]) => {
  expect(profile.sources).not.toEqual([])
  expect(profile.views.filter((view) => !CARD_VIEWS.includes(view))).toEqual([])
  expect(profile.views).not.toEqual([])
})

test.for(named(ALL))('%s is data: it survives JSON', ([, profile]) => {
  expect(JSON.parse(JSON.stringify(profile))).toEqual(profile)
})

test.for(named(ALL))('%s never takes for a card or a PIN what the broker kept', ([, { hears }]) => {
  const asked = hears.filter(({ is }) => ['scan', 'pin', 'record', 'rex'].includes(is))
  expect(asked.filter(({ kept }) => kept)).toEqual([])
})

/** Every `{name}` in what a profile listens to and says, wherever it stands. */
const variablesIn = (value: unknown): string[] => {
  if (typeof value === 'string') {
    return [...value.matchAll(/\{([A-Za-z]\w*)(?:\.\.\.|\/)?(?::\w+)?\}/g)].map(([, name]) => name ?? '')
  }
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => [...variablesIn(key), ...variablesIn(inner)])
}

const GIVEN = [
  'topic replyTopic unit card openMs openSeconds pulseTime now expires name reason id ip',
  'user since until admins inductors cards',
].flatMap((names) => names.split(' '))

/** What it hears on no topic in particular is heard on its own: a door has one by its setting `topic`, or none. */
test.for(named([...DOOR_PROFILES]))('%s hears nothing but on its own topics, and shuts what it holds', ([, door]) => {
  expect(door.hears.some(({ topic }) => topic === undefined)).toBe(
    Object.hasOwn(door.settings, 'topic') && door.hears.length > 0,
  )
  if (door.hold) expect(door.release).toBeDefined()
  expect(door.hears.filter(({ is }) => ['scan', 'pin', 'record'].includes(is))).toEqual([])
})

test('a reader’s own answers are over when they went out: nothing has to follow later', () => {
  const later = PROFILES.flatMap(({ grant, deny }) => [...grant, ...deny]).flat()
  expect(later.filter(({ afterMs }) => afterMs !== undefined)).toEqual([])
})

test.for(named(ALL))('%s uses no variable that nobody gives', ([, profile]) => {
  const { settings, topics, hears, grant, deny, setup, hold, release, accessList } = profile
  const taken = hears.flatMap(({ take = {}, when }) => [
    ...Object.keys(take),
    ...[...JSON.stringify(when ?? {}).matchAll(/\(\?<(\w+)>/g)].map(([, name]) => name ?? ''),
  ])
  const there = [...GIVEN, ...Object.keys(settings), ...taken, ...variablesIn(topics)]
  const used = variablesIn([hears, grant, deny, setup ?? [], hold ?? [], release ?? [], accessList ?? []])
  expect(used.filter((name) => !there.includes(name))).toEqual([])
})

test.for(named(ALL))('%s has settings that are as they say', ([, { settings, decides }]) => {
  for (const [name, { kind, choices, default: value, min = 0, max = 0, says }] of Object.entries(settings)) {
    expect(says, name).toMatch(/^[A-Za-z0-9].*\.$/)
    if (kind === 'choice') expect(choices, name).toContain(value)
    if (kind === 'number') expect(max === 0 || max > min, name).toBe(true)
  }
  expect(Object.hasOwn(settings, 'decides')).toBe(decides === 'either')
})

test.for([
  ['a/b/{x}', 'a/b/c', { x: 'c' }],
  ['{x...}/c', '/a/b/c', { x: '/a/b' }],
  ['{x/}c', 'c', { x: '' }],
  ['{x/}c', '/c', { x: '/' }],
  ['{x/}c', 'a/b/c', { x: 'a/b/' }],
  ['{x/}c', 'a/bc', undefined],
  ['{x/}c/{y/}d', 'c/d', { x: '', y: '' }],
  ['a.b/{x}', 'aXb/c', undefined],
] as const)('the template %s, held against %s: %j', ([template, topic, vars]) => {
  expect(topicVars(template, topic)).toEqual(vars)
})

test.for([
  ['tasmota', 'tele/a/STATE', {}, 'topic'],
  ['espeasy', 'a/Tag', {}, 'topic'],
  ['json', 'a', {}, 'settings.cardAt'],
  ['json', 'a', { cardAt: 'uid' }, 'settings.cardAt'],
  ['esphome', '/x/sensor/tag/state', {}, 'topic'],
  ['fabomatic', 'machine/1/reply', {}, 'topic'],
  ['esp-rfid-v2', 'a/send', { decides: 'nobody' }, 'settings.decides'],
] as const)('a %s reader at %s with %j has a mistake in its %s', ([profile, topic, settings, path]) => {
  const view = PROFILES.find(({ name }) => name === profile)?.views[0] ?? 'hex'
  const mistakes = mistakesIn(readerOf({ profile, topic, settings, cardView: view }))
  expect(mistakes.map((mistake) => mistake.path)).toEqual([path])
})
