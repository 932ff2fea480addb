import type { Reason } from '../../api/contract/scan.ts'
import { each } from '../bench/load.ts'
import type { Call, Json } from '../testing/call.ts'
import type { Recorded } from './ledger.ts'
import { type Random, shuffled } from './random.ts'

export type Reader = { id: string; topic: string; replyTopic: string; denies: boolean }

/** A site made through the front door, and the oracle: what has to happen, from how it was made and nothing else. */
export type Site = {
  readers: Reader[]
  /** One more reader, where nobody scans; it has nowhere to hear answers. */
  lonely: Reader
  /** Cards for the steady load, each reader's own order left to the readers. */
  cards: string[]
  /** Cards that open everywhere and are not part of the steady load: to be revoked, and for what is no scan. */
  spare: string[]
  expected(reader: Reader, card: string): Reason
  block(card: string): Promise<void>
  /** The whole record, oldest first. */
  record(): Promise<Recorded[]>
  /** Another bridge, whose seal this site knows. */
  bridge: { id: string; key: string }
  stranger: { id: string; key: string }
}

export const READERS = 40
const DENYING = 10
const SPARE = 60
/** Each kind's cards are carried by so many people. */
const HOLDERS = 5

/** How many of each kind of card, and what happens to it. `some` passes at the even readers only. */
const KINDS = {
  everywhere: 200,
  some: 60,
  blocked: 25,
  lost: 20,
  returned: 15,
  expired: 15,
  inactive: 25,
  closed: 20,
  ruleless: 20,
  unknown: 20,
}
type Kind = keyof typeof KINDS

const EXPECTED: Record<Kind, [even: Reason, odd: Reason]> = {
  everywhere: ['granted', 'granted'],
  some: ['granted', 'no_rule'],
  blocked: ['card_blocked', 'card_blocked'],
  lost: ['card_lost', 'card_lost'],
  returned: ['card_returned', 'card_returned'],
  expired: ['card_expired', 'card_expired'],
  inactive: ['person_inactive', 'person_inactive'],
  closed: ['outside_schedule', 'outside_schedule'],
  ruleless: ['no_rule', 'no_rule'],
  unknown: ['unknown_card', 'unknown_card'],
}

const CARD_FIELDS: Partial<Record<Kind, Record<string, unknown>>> = {
  blocked: { status: 'blocked' },
  lost: { status: 'lost' },
  returned: { status: 'returned' },
  expired: { validUntil: '2020-01-01T00:00:00Z' },
}

export const makeSite = async (call: Call, random: Random): Promise<Site> => {
  const readers = await inTurn(
    each(READERS, (n) => n),
    async (n): Promise<Reader> => {
      const topics = { topic: `/chaos/${n}/rfid/Tag`, replyTopic: `/chaos/${n}/open` }
      const denies = n < DENYING
      const offline = denies ? { offline: 'deny' } : { offline: 'snapshot', offlineHours: 24 }
      const { id } = await call('POST', '/readers', {
        name: `Reader ${n}`,
        timezone: 'Europe/Prague',
        ...topics,
        ...offline,
      })
      return { id, ...topics, denies }
    },
  )
  const topic = '/chaos/lonely/rfid/Tag'
  const { id } = await call('POST', '/readers', { name: 'Lonely reader', topic })
  const lonely = { id, topic, replyTopic: '', denies: false }
  const groups = {
    everywhere: (await call('POST', '/groups', { name: 'Everywhere' })).id,
    some: (await call('POST', '/groups', { name: 'Even readers' })).id,
    closed: (await call('POST', '/groups', { name: 'Never' })).id,
  }
  const never = await call('POST', '/schedules', { name: 'Never', windows: [] })
  const ids = readers.map(({ id }) => id)
  await call('POST', '/rules', { groupId: groups.everywhere, readerIds: ids })
  await call('POST', '/rules', { groupId: groups.some, readerIds: ids.filter((_, n) => n % 2 === 0) })
  await call('POST', '/rules', { groupId: groups.closed, readerIds: ids, scheduleId: never.id })

  const kinds = Object.entries(KINDS).flatMap(([kind, count]) => each(count, () => kind as Kind))
  const numbers = [...kinds, ...each(SPARE, () => 'everywhere' as const)].map((kind, n) => ({
    kind,
    number: String(1_000_000 + n * 7_919),
  }))
  const holders = await inTurn(Object.keys(KINDS) as Kind[], async (kind) => {
    const people = await inTurn(
      each(HOLDERS, (n) => n),
      async (n) => {
        const person = await call('POST', '/people', { name: `${kind} ${n}`, active: kind !== 'inactive' })
        const group = kind === 'some' || kind === 'closed' ? groups[kind] : groups.everywhere
        if (kind !== 'ruleless') await call('PUT', `/groups/${group}/people/${person.id}`)
        return person.id
      },
    )
    return [kind, people] as const
  })
  const holdersOf = new Map(holders)
  const idOf = new Map<string, string>()
  await inTurn(
    numbers.filter(({ kind }) => kind !== 'unknown'),
    async ({ kind, number }) => {
      const personId = holdersOf.get(kind)?.[Number(number) % HOLDERS]
      const card = await call('POST', '/cards', { personId, number, form: 'decimal', ...CARD_FIELDS[kind] })
      idOf.set(number, card.id)
    },
  )
  const kindOf = new Map(numbers.map(({ kind, number }) => [number, kind]))
  const places = new Map(readers.map(({ id }, n) => [id, n]))

  return {
    readers,
    lonely,
    cards: shuffled(numbers.slice(0, kinds.length), random).map(({ number }) => number),
    spare: numbers.slice(kinds.length).map(({ number }) => number),
    expected: ({ id }, card) => EXPECTED[kindOf.get(card) ?? 'unknown'][Number(places.get(id)) % 2 === 0 ? 0 : 1],
    async block(card) {
      await call('PATCH', `/cards/${idOf.get(card)}`, { status: 'blocked' })
    },
    async record() {
      const found: Json[] = []
      for (let cursor: string | null = ''; cursor !== null; ) {
        const page = await call('GET', `/events?limit=500${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)
        found.push(...page.items)
        cursor = page.nextCursor
      }
      return found.map(toRecorded).reverse()
    },
    bridge: await call('POST', '/bridges', { name: 'Chaos' }),
    stranger: await call('POST', '/bridges', { name: 'Stranger' }),
  }
}

const toRecorded = (event: Json): Recorded => ({
  id: event.id,
  reader: String(event['readerId']),
  card: String(event['cardNumber']),
  at: Date.parse(String(event['at'])),
  receivedAt: Date.parse(String(event['receivedAt'])),
  reason: event['reason'] as Reason,
  source: event['source'] as Recorded['source'],
})

/** Ten at a time, in order. */
const inTurn = async <A, B>(items: A[], work: (item: A) => Promise<B>): Promise<B[]> => {
  const results: B[] = []
  for (let n = 0; n < items.length; n += 10) results.push(...(await Promise.all(items.slice(n, n + 10).map(work))))
  return results
}
