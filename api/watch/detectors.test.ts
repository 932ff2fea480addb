import { describe, expect, test } from 'vitest'
import { deviceAlerts } from './devices.ts'
import { failedSignIns } from './failed-sign-ins.ts'
import { farReaders } from './far-readers.ts'
import { overdue } from './overdue.ts'
import { unknownCards } from './unknown-cards.ts'

const T0 = Date.parse('2026-01-05T08:00:00Z')
const at = (seconds: number) => new Date(T0 + seconds * 1_000)
const DAY = 86_400

describe('failed sign-ins', () => {
  const failure = (seconds: number, account: string | null = 'ada', address: string | null = '192.0.2.1') => ({
    ...{ at: at(seconds), account, address },
    number: seconds,
  })
  const times = (count: number, everyS: number) => Array.from({ length: count }, (_, i) => i * everyS)

  test('ten in ten minutes for one account are one alert, though all are from one address', () => {
    const found = failedSignIns(times(10, 60).map((seconds) => failure(seconds)))
    const detail = { accountId: 'ada', failures: 10 }
    expect(found).toEqual([{ kind: 'failed_sign_ins', about: 'ada', since: at(0), detail }])
  })

  test('nine are none, nor are ten in more than ten minutes', () => {
    expect(failedSignIns(times(9, 1).map((seconds) => failure(seconds)))).toEqual([])
    expect(failedSignIns(times(10, 67).map((seconds) => failure(seconds)))).toEqual([])
  })

  test('ten from one address are one alert, whoever they say they are; of IPv6 one network is one', () => {
    const rows = times(10, 1).map((seconds) => failure(seconds, `${seconds}`, `2001:db8::${seconds}`))
    expect(failedSignIns(rows)).toMatchObject([{ about: '2001:db8:0:0::/64', detail: { failures: 10 } }])
    const nobody = times(10, 1).map((seconds) => failure(seconds, null))
    expect(failedSignIns(nobody)).toMatchObject([{ about: '192.0.2.1' }])
  })

  test('where no address is known, nobody is blamed for all of them', () => {
    expect(failedSignIns(times(20, 1).map((seconds) => failure(seconds, null, null)))).toEqual([])
  })
})

describe('unknown cards', () => {
  const tried = (seconds: number, cardNumber: string, readerId = 'gate') => ({ at: at(seconds), cardNumber, readerId })

  test('five different ones within two minutes at one reader are one alert, in whatever order they come', () => {
    const rows = [120, 30, 60, 0, 90].map((seconds) => tried(seconds, `CA${seconds}`))
    const detail = { readerId: 'gate', cards: 5, scans: 5 }
    expect(unknownCards(rows)).toEqual([{ kind: 'unknown_cards', about: 'gate', since: at(0), detail }])
  })

  test('one card again and again is none; nor are five at two readers, or in more than two minutes', () => {
    expect(unknownCards([0, 4, 8, 12, 16, 20].map((seconds) => tried(seconds, 'CA')))).toEqual([])
    expect(unknownCards([0, 1, 2, 3, 4].map((s) => tried(s, `CA${s}`, s % 2 === 0 ? 'gate' : 'door')))).toEqual([])
    expect(unknownCards([0, 31, 62, 93, 124].map((seconds) => tried(seconds, `CA${seconds}`)))).toEqual([])
  })
})

describe('far readers', () => {
  const seen = (seconds: number, place: string, personId = 'ada') => ({
    ...{ id: `${personId} ${seconds}`, at: at(seconds), personId, readerId: `reader in ${place}`, place },
  })

  test('two places within a minute are one alert, whichever is heard of first', () => {
    const detail = {
      personId: 'ada',
      readerIds: ['reader in Brno', 'reader in Prague'],
      eventIds: ['ada 0', 'ada 60'],
    }
    expect(farReaders([seen(60, 'Prague'), seen(0, 'Brno')])).toEqual([
      { kind: 'far_readers', about: 'ada', since: at(0), detail },
    ])
  })

  test('one place, more than a minute, or two people are none', () => {
    expect(farReaders([seen(0, 'Brno'), seen(10, 'Brno')])).toEqual([])
    expect(farReaders([seen(0, 'Brno'), seen(61, 'Prague')])).toEqual([])
    expect(farReaders([seen(0, 'Brno'), seen(10, 'Prague', 'bob')])).toEqual([])
  })
})

test('of what devices do some is an alert, about the door if there is one', () => {
  const event = { id: 'e', at: at(0), doorId: 'door', readerId: 'reader', bridgeId: 'bridge' }
  const aboutOf = (kind: Parameters<typeof deviceAlerts>[0][number]['kind'], more = {}) =>
    deviceAlerts([{ ...event, kind, ...more }]).map((one) => `${one.kind} ${one.about}`)
  expect(aboutOf('door_forced')).toEqual(['door_forced door'])
  expect(aboutOf('tampered', { doorId: null })).toEqual(['tamper reader'])
  expect(aboutOf('reader_offline')).toEqual(['reader_offline reader'])
  expect(aboutOf('bridge_offline', { doorId: null, readerId: null })).toEqual(['bridge_offline bridge'])
  expect(aboutOf('door_opened')).toEqual([])
  expect(aboutOf('tamper_ended')).toEqual([])
})

describe('upkeep', () => {
  const task = { triedAt: at(0), doneAt: at(0), error: null }

  test('what is done daily is late after two days, and told anew each day', () => {
    const sinceAt = (task_: 'retention' | 'backup' | 'backup-verified', days: number) =>
      overdue([{ ...task, task: task_ }], at(days * DAY)).map(({ about, since }) => [about, since])
    expect(sinceAt('retention', 1.9)).toEqual([])
    expect(sinceAt('retention', 2.5)).toEqual([['retention', at(2 * DAY)]])
    expect(sinceAt('backup', 3.1)).toEqual([['backup', at(3 * DAY)]])
    expect(sinceAt('backup-verified', 30)).toEqual([])
  })

  test('what was tried in vain is told at once, though it was never done; what nobody wanted is not', () => {
    const vain = { task: 'backup', triedAt: at(5), doneAt: null, error: 'disk full' } as const
    expect(overdue([vain], at(6))).toEqual([
      { kind: 'upkeep_failed', about: 'backup', since: at(5), detail: { task: 'backup', failed: true, doneAt: null } },
    ])
    expect(overdue([{ ...vain, error: null }], at(30 * DAY))).toEqual([])
    expect(overdue([{ ...vain, task: 'watch' }], at(6))).toEqual([])
  })
})
