import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { sealingKey } from '../api/contract/envelope.ts'
import type { SiteReader } from '../api/contract/site.ts'
import { type AccessLists, accessLists } from './access-lists.ts'
import type { Message, Profile } from './profiles/profile.ts'

const folders: string[] = []
const running: AccessLists[] = []
afterAll(async () => {
  for (const one of running) one.stop()
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})

const profile: Profile = {
  name: 'told',
  title: 'A reader that is told its list',
  sources: [],
  decides: 'reader',
  topics: ['{base...}/send'],
  views: ['hex'],
  settings: {},
  hears: [
    { topic: '{base...}/sync', json: true, is: 'heartbeat', take: { ip: '/ip' } },
    { topic: '{base...}/hash', json: true, is: 'note', what: 'acl_hash', take: { hash: '/hash' } },
    { is: 'scan', card: { at: '' } },
  ],
  grant: [],
  deny: [],
  accessList: {
    add: [{ topic: '{base}/cmd', payload: 'add {card} {user} {until} {ip}' }],
    remove: [{ topic: '{base}/cmd', payload: 'forget {card} {ip}' }],
  },
}

const start = async (settings: SiteReader['settings'] = { accessList: true }, told = profile, at?: string) => {
  const folder = at ?? (await mkdtemp(join(tmpdir(), 'lintel-lists-')))
  folders.push(folder)
  const reader = { id: randomUUID(), topic: 'rfid/send', unit: null, cardView: 'hex', settings } as SiteReader
  const cards = new Set<string>()
  const published: string[] = []
  const log: string[] = []
  const publish = vi.fn(async ({ topic, payload }: Message) => void published.push(`${topic} ${payload}`))
  const ask = vi.fn(async (_: string, after?: string) => {
    const all = [...cards].map((card) => ({ card, user: 'cafe0001', until: 0 }))
    // The first page is of one card, to show that all are read.
    return after === undefined && all.length > 1
      ? { cards: all.slice(0, 1), next: randomUUID() }
      : { cards: after === undefined ? all : all.slice(1) }
  })
  const lists = accessLists({
    key: sealingKey(KEY),
    link: { state: () => 'up', up() {}, failed: () => false, failedAside() {} },
    log: (_, event, fields) => void log.push(JSON.stringify({ event, ...fields })),
    folder,
    known: (one) => ({ reader: one, profile: told, vars: { base: 'rfid', topic: one.topic } }),
    ask,
    publish,
    subscribe: () => {},
    paceMs: 0,
    everyMs: 3_600_000,
  })
  running.push(lists)
  let version = 0
  return {
    reader,
    cards,
    published,
    log,
    lists,
    ask,
    folder,
    beat: (ip = '192.168.1.50') => lists.came(came('rfid/sync', JSON.stringify({ ip }))),
    changed: () => lists.facts(String(++version)),
  }
}
const KEY = randomBytes(32)
const came = (topic: string, payload: string) => ({ topic, payload: Buffer.from(payload), retained: false })
const eventually = (check: () => unknown) => vi.waitFor(check, { timeout: 5_000, interval: 5 })

const END = 2_147_483_647

test('a device is told once it is there and its address is known, and not before', async () => {
  const { lists, reader, cards, published, ask, beat } = await start()
  cards.add('DE0BA996').add('045E0AB2C34D80')
  lists.use([reader])
  await eventually(() => expect(ask).toHaveBeenCalledTimes(2))
  beat('not an address')
  await eventually(() => expect(ask.mock.calls.length).toBeGreaterThanOrEqual(4))
  expect(published).toEqual([])
  beat()
  lists.facts('1')
  await eventually(() => expect(published).toHaveLength(2))
  expect(published).toEqual([
    `rfid/cmd add DE0BA996 cafe0001 ${END} 192.168.1.50`,
    `rfid/cmd add 045E0AB2C34D80 cafe0001 ${END} 192.168.1.50`,
  ])
})

test('when the facts change whom to forget comes first, and what is known is on the disk, sealed', async () => {
  const { lists, reader, cards, published, beat, changed, folder, log } = await start()
  cards.add('DE0BA996')
  lists.use([reader])
  beat()
  changed()
  await eventually(() => expect(published).toContain(`rfid/cmd add DE0BA996 cafe0001 ${END} 192.168.1.50`))
  await eventually(() => expect(log.join()).toContain('"added":1'))
  published.length = 0
  cards.clear()
  cards.add('CAFE0002')
  changed()
  await eventually(() => expect(published).toHaveLength(2))
  expect(published[0]).toBe('rfid/cmd forget DE0BA996 192.168.1.50')
  await eventually(() => expect(log.join()).toContain('"removed":1'))

  const [file = ''] = await readdir(join(folder, 'access-lists'))
  expect((await readFile(join(folder, 'access-lists', file))).toString('latin1')).not.toMatch(/DE0BA996|CAFE0002/)
  expect(log.join()).not.toMatch(/DE0BA996|CAFE0002/)
})

test('what a device was told is known after a restart, and taken back when it is not to be told any more', async () => {
  const before = await start()
  before.cards.add('DE0BA996')
  before.lists.use([before.reader])
  before.beat()
  before.changed()
  await eventually(() => expect(before.log.join()).toContain('"added":1'))
  before.lists.stop()

  const after = await start({}, profile, before.folder)
  after.beat()
  after.lists.use([{ ...before.reader, settings: {} }])
  after.beat()
  await eventually(() => expect(after.published).toContain('rfid/cmd forget DE0BA996 192.168.1.50'))
  expect(after.ask).not.toHaveBeenCalled()
})

test('a reader that is not set to be told is asked about nowhere, and nothing is published', async () => {
  const { lists, reader, published, ask, beat, changed } = await start({})
  lists.use([reader])
  beat()
  changed()
  await new Promise((done) => setTimeout(done, 30))
  expect({ published, asked: ask.mock.calls.length }).toEqual({ published: [], asked: 0 })
})

test('when the API does not answer nobody is forgotten', async () => {
  const { lists, reader, cards, published, beat, changed, ask, log } = await start()
  cards.add('DE0BA996')
  lists.use([reader])
  beat()
  changed()
  await eventually(() => expect(log.join()).toContain('"added":1'))
  published.length = 0
  ask.mockRejectedValueOnce(new Error('away'))
  changed()
  await eventually(() => expect(log.join()).toContain('access_list_not_told'))
  expect(published.join()).not.toContain('forget')
})

test('a device that says it has another list is told everything anew, and not again at once', async () => {
  const asking: Profile = {
    ...profile,
    accessList: { ...profile.accessList, add: [], query: [{ topic: '{base}/acl', payload: '' }] } as NonNullable<
      Profile['accessList']
    >,
  }
  const told = { ...asking, accessList: { ...asking.accessList, add: profile.accessList?.add ?? [] } } as Profile
  const { lists, reader, cards, published, beat, changed, log } = await start(undefined, told)
  cards.add('DE0BA996')
  lists.use([reader])
  beat()
  const adds = () => published.filter((one) => one.includes('add')).length
  const queries = () => published.filter((one) => one === 'rfid/acl ').length
  const quiet = async (more: number) => {
    for (const wish = queries() + more; queries() < wish; ) {
      changed()
      await new Promise((done) => setTimeout(done, 10))
    }
  }
  await quiet(1)
  expect(adds()).toBe(2)
  lists.came(came('rfid/hash', JSON.stringify({ hash: '0'.repeat(64) })))
  await quiet(1)
  expect(adds()).toBe(3)
  expect(log.join()).toContain('access_list_differs')
  lists.came(came('rfid/hash', JSON.stringify({ hash: '0'.repeat(64) })))
  await quiet(1)
  expect(adds()).toBe(3)
})
