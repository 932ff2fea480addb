import * as v from 'valibot'
import { expect, test } from 'vitest'
import { SiteReader } from '../api/contract/site.ts'
import { routesTo } from './routes.ts'

const VF = 'access_device/v2/event'
const reader = (name: string, profile: string, topic: string, more: Partial<SiteReader> = {}) =>
  v.parse(SiteReader, {
    id: '0198c0de-0000-7000-8000-000000000001',
    replyTopic: null,
    cardView: 'hex',
    holdMs: 3000,
    offline: 'deny',
    offlineHours: 24,
    ...more,
    name,
    profile,
    topic,
  })
const logged: string[] = []
const heardBy = (readers: readonly SiteReader[], topic: string, payload: unknown) => {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const routes = routesTo(readers, (_, event) => logged.push(event))
  const said = routes.hear({ topic, payload: Buffer.from(text), retained: false }, new Date())
  return 'dropped' in said ? said.dropped : said.map(({ by }) => by.reader.name)
}
const asks = (uuid: unknown) => ({ serialNo: '1', uuid, data: { type: '200', code: 'DE0BA996' } })
const terminals = [
  reader('rest', 'vf-access', `${VF}/access_online`),
  ...['a', 'b'].map((unit) => reader(unit, 'vf-access', `${VF}/access_online`, { unit })),
]

test.each([
  ['its own', 'b', ['b']],
  ['nobody’s', 'c', ['rest']],
  ['no', undefined, ['rest']],
  ['a unit that is no text for its', { $ne: 1 }, ['rest']],
])('a scan with %s unit is heard by %s', (_, uuid, by) => {
  expect(heardBy(terminals, `${VF}/access_online`, asks(uuid))).toEqual(by)
})

test('where nobody stands for the rest, the others are nobody’s', () => {
  expect(heardBy(terminals.slice(1), `${VF}/access_online`, asks('c'))).toBe('foreign_topic')
})

test('a connection that readers share is each one’s, and so is a heartbeat', () => {
  const beat = { serialNo: '1', uuid: 'a', time: 1, data: {} }
  expect(heardBy(terminals, `${VF}/heartbeat`, beat)).toEqual(['a', 'rest'])
})

test('a topic that nobody has is nobody’s, and why a message said nothing comes from whoever knows it', () => {
  expect(heardBy(terminals, '/dilny/rfid/Tag', '1')).toBe('foreign_topic')
  expect(heardBy([reader('door', 'plain', 'x')], 'x', '0')).toBe('removal')
})

test('a reader of a profile that is not known is left alone, and said', () => {
  expect(heardBy([reader('new', 'from-tomorrow', 'x')], 'x', 'DE0BA996')).toBe('foreign_topic')
  expect(logged).toContain('unknown_profile')
})
