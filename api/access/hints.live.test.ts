import { beforeAll, describe, expect, test } from 'vitest'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, signIn, withToken } from '../testing/caller.ts'
import { keyOf } from '../testing/things.ts'

// What might have been meant by a card that nobody knows. The cards A, B and E are those of readers.md, section 12.

let api: TestApi
let admin: Caller
let personId: string
const cards: Record<string, string> = {}
const readers: Record<string, string> = {}

const addCard = async (number: string, form = 'hex') => (await admin.post('/cards', { personId, number, form })).body.id

type Hint = { cardId: string; view: string; sentence: string }
const hints = async (view: string, text: string, caller: Pick<Caller, 'get'> = admin): Promise<Hint[]> => {
  readers[view] ??= (await admin.post('/readers', { name: view, topic: `hints/${view}`, cardView: view })).body.id
  const { status, body } = await caller.get(`/explain?readerId=${readers[view]}&card=${encodeURIComponent(text)}`)
  expect(status).toBe(200)
  return body['hints'] as Hint[]
}

beforeAll(async () => {
  api = await startTestApi()
  admin = await signIn(api, 'admin')
  personId = (await admin.post('/people', { name: 'Ada' })).body.id
  cards['A'] = await addCard('DE0BA996')
  cards['B'] = await addCard('045E0AB2C34D80')
  cards['E'] = await addCard('4B00423C15')
  cards['old'] = await addCard('6159760', 'decimal')
})

describe('a card that nobody knows', () => {
  test.for<[string, string, string, string[]]>([
    ['hex', '96:A9:0B:DE', 'A', ['hex-reversed']],
    ['decimal', '2527661022', 'A', ['decimal-reversed']],
    ['hex', '3725306262', 'A', ['decimal']],
    ['decimal', 'DE0BA996', 'A', ['hex']],
    ['hex', 'deba996', 'A', ['hex-unpadded']],
    ['decimal', '764310', 'A', ['w26']],
    ['hex', '011,43414', 'A', ['w26']],
    ['hex', 'B20A5E04', 'B', ['hex4-reversed']],
    ['decimal', '0073271986', 'B', ['decimal4', 'w34']],
    ['hex', '00423C15', 'E', ['em32-hex']],
    ['decimal', '4340757', 'E', ['em32-decimal', 'w26', 'w34']],
    ['hex', '0006159760', 'old', ['decimal']],
  ])('at a reader of %s, %s may be card %s in %j', async ([view, text, card, views]) => {
    const cardId = cards[card]
    expect(await hints(view, text)).toEqual(views.map((one) => ({ cardId, view: one, sentence: expect.any(String) })))
  })

  test('is told in a sentence', async () => {
    const [hint] = await hints('hex', '96A90BDE')
    expect(hint?.sentence).toBe(
      `The card ${cards['A']} would match if this reader’s view were hex-reversed (the bytes in reverse order, in hex).`,
    )
  })

  test('of which nothing is like it has no hints, and neither has one that is known', async () => {
    expect(await hints('hex', 'ABAB')).toEqual([])
    expect(await hints('hex', '{"a": 1}')).toEqual([])
    expect(await hints('hex', 'DE0BA996')).toEqual([])
  })

  test('has five hints at most', async () => {
    for (const last of ['01', '02', '03', '04', '05', '06']) await addCard(`CAFE0102${last}${last}`)
    const some = await hints('hex', '3405644034')
    expect(some.map(({ view }) => view)).toEqual(Array(5).fill('decimal4'))
    expect(new Set(some.map(({ cardId }) => cardId)).size).toBe(5)
  })

  test('has none for whoever may not read cards', async () => {
    const key = withToken(api, await keyOf(api, 'owner', ['explain:read']))
    expect(await hints('hex', '96A90BDE', key)).toEqual([])
  })
})
