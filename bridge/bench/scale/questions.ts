import { idOf as id } from '../seed.ts'
import type { Size } from './record.ts'

/** Something that is asked of the API over and over: a path, other each time, and how many rows it should find. */
export type Question = { what: string; path(n: number): string; finds?: 'nothing' | 'something' }

const DAY_MS = 86_400_000

/** Lists and filters as people and programs ask for them, the ungrateful ones too: what is rare, and what is not there. */
export const questionsAt = ({ readers, cards, days }: Size, today: number): Question[] => {
  const reader = (n: number) => id('reader', 1 + ((n * 37) % (readers - 1)))
  const person = (n: number) => id('person', (n * 7_919) % cards)
  const day = (n: number) => new Date(today - (1 + ((n * 13) % (days - 1))) * DAY_MS)
  const aDay = (n: number) => `from=${day(n).toISOString()}&to=${new Date(day(n).getTime() + DAY_MS).toISOString()}`
  const main = id('reader', 0)
  /** Where a page deep in the list begins. */
  const cursor = (...position: string[]) => `cursor=${Buffer.from(JSON.stringify(position)).toString('base64url')}`
  const NOBODY = '00000000-0000-7000-8000-000000000000'
  return [
    { what: 'newest', path: () => '/events' },
    { what: 'newest, 500', path: () => '/events?limit=500' },
    { what: 'a page anywhere', path: (n) => `/events?${cursor(day(n).toISOString(), id('event', 0))}` },
    { what: 'a day', path: (n) => `/events?${aDay(n)}` },
    { what: 'a reader', path: (n) => `/events?readerId=${reader(n)}` },
    { what: 'a reader, 500', path: (n) => `/events?readerId=${reader(n)}&limit=500` },
    { what: 'a reader, a day', path: (n) => `/events?readerId=${reader(n)}&${aDay(n)}` },
    { what: 'a reader, denied', path: (n) => `/events?readerId=${reader(n)}&decision=denied` },
    { what: 'a reader, denied, 500', path: (n) => `/events?readerId=${reader(n)}&decision=denied&limit=500` },
    { what: 'a reader, a rare reason', path: (n) => `/events?readerId=${reader(n)}&reason=card_expired` },
    {
      what: 'a reader, a reason that is never',
      path: (n) => `/events?readerId=${reader(n)}&reason=wrong_pin`,
      finds: 'nothing',
    },
    {
      what: 'the main entrance',
      path: (n) => `/events?readerId=${main}&${cursor(day(n).toISOString(), id('event', 0))}`,
    },
    {
      what: 'the main entrance, a rare reason, a day',
      path: (n) => `/events?readerId=${main}&reason=card_expired&${aDay(n)}`,
    },
    { what: 'a person', path: (n) => `/events?personId=${person(n)}` },
    { what: 'a person, denied', path: (n) => `/events?personId=${person(n)}&decision=denied` },
    {
      what: 'a person, a reader',
      path: (n) => `/events?personId=${person(n)}&readerId=${reader(n)}`,
      finds: 'nothing',
    },
    { what: 'nobody', path: () => `/events?personId=${NOBODY}`, finds: 'nothing' },
    { what: 'denied', path: () => '/events?decision=denied' },
    { what: 'denied, a day, 500', path: (n) => `/events?decision=denied&limit=500&${aDay(n)}` },
    { what: 'a frequent reason', path: (n) => `/events?reason=unknown_card&${aDay(n)}` },
    { what: 'a rare reason', path: () => '/events?reason=card_lost' },
    { what: 'a rare reason, 500', path: () => '/events?reason=card_expired&limit=500' },
    {
      what: 'a reason that is of the other decision',
      path: () => '/events?reason=unknown_card&decision=granted',
      finds: 'nothing',
    },
    { what: 'unknown cards of 30 days', path: () => '/unknown-cards' },
    { what: 'device events', path: () => '/device-events' },
    { what: 'device events, a door', path: (n) => `/device-events?doorId=${id('door', (n * 37) % readers)}` },
    { what: 'device events, a rare kind, a day', path: (n) => `/device-events?kind=door_forced&${aDay(n)}` },
    { what: 'device events, a bridge that is gone', path: () => `/device-events?bridgeId=${NOBODY}`, finds: 'nothing' },
    { what: 'audit', path: () => '/audit' },
    { what: 'audit, a day', path: (n) => `/audit?${aDay(n)}` },
    { what: 'audit, up to a day', path: (n) => `/audit?to=${day(n).toISOString()}` },
    { what: 'audit, somebody, a day', path: (n) => `/audit?actorId=${id('group', n % 50)}&${aDay(n)}` },
    { what: 'audit, what was done to a person', path: (n) => `/audit?targetId=${person(n)}` },
    { what: 'audit, a rare action', path: () => '/audit?action=rules.delete' },
    { what: 'audit, a rare kind of target', path: () => '/audit?targetKind=rule' },
    { what: 'audit, a kind that is never', path: () => '/audit?targetKind=door', finds: 'nothing' },
    { what: 'export, 1,000 newest', path: () => '/events/export?limit=1000' },
    { what: 'export, 1,000 of a day', path: (n) => `/events/export?limit=1000&${aDay(n)}` },
    { what: 'export, 1,000 of a reader', path: (n) => `/events/export?limit=1000&readerId=${reader(n)}` },
    { what: 'export, a person', path: (n) => `/events/export?personId=${person(n)}` },
  ]
}
