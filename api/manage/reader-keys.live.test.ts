import { eq } from 'drizzle-orm'
import { base64url } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { readerKey } from '../access/reader-keys.ts'
import { sealingKey } from '../contract/envelope.ts'
import { keyBox } from '../contract/reader-keys.ts'
import { audit, readers } from '../db/schema.ts'
import { APP_KEY, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, expectProblem, signIn, withToken } from '../testing/caller.ts'
import { type Bridge, registerBridge } from '../testing/sealed.ts'
import { keyOf } from '../testing/things.ts'

// The keys that readers with Lintel's own protocol sign with: shown once, and told to bridges.

const BEFORE = crypto.getRandomValues(new Uint8Array(32))

let api: TestApi
let admin: Caller
let bridge: Bridge
let other: Bridge

beforeAll(async () => {
  api = await startTestApi({ APP_KEY_PREVIOUS: Buffer.from(BEFORE).toString('base64') })
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
  other = await registerBridge(api, admin)
})

let made = 0
const addReader = async (profile = 'lintel'): Promise<string> => {
  const reader = { name: 'Front door', profile, cardView: 'hex', topic: `lintel/reader/door-${++made}/scan` }
  return (await admin.post('/readers', reader)).body.id
}
const newKey = async (id: string): Promise<string> => {
  const { status, body } = await admin.post(`/readers/${id}/key`)
  expect({ status, body }).toEqual({ status: 200, body: { id, key: expect.stringMatching(/^[\w-]{43}$/) } })
  return String(body['key'])
}
const toldTo = async (to: Bridge, id: string) => (await to.config()).readers?.find((reader) => reader.id === id)?.keys
const unlockedBy = async (by: Bridge, id: string, to = by) => {
  const box = keyBox(sealingKey(base64url.decode(by.key)))
  return (await toldTo(to, id))?.map((text) => box.unlock(text, id)?.toString('base64url'))
}

test('a key is shown once and told to each bridge so that no other can read it; it is stored nowhere', async () => {
  const id = await addReader()
  expect(await toldTo(bridge, id)).toBeUndefined()
  const key = await newKey(id)
  for (const one of [bridge, other]) expect((await unlockedBy(one, id))?.[0]).toBe(key)
  expect(await unlockedBy(other, id, bridge)).toEqual([undefined, undefined])

  const [row] = await api.db.select().from(readers).where(eq(readers.id, id))
  const shown = [(await admin.get(`/readers/${id}`)).body, await bridge.config(), row]
  expect(JSON.stringify(shown)).not.toContain(key)
})

test('the key is of one reader, of one generation, and derived from APP_KEY', async () => {
  const id = await addReader()
  const key = await newKey(id)
  expect(key).toBe(base64url.encode(await readerKey(Buffer.from(APP_KEY, 'base64'), id, 1)))
  const [first = ''] = (await toldTo(bridge, id)) ?? []
  const box = keyBox(sealingKey(base64url.decode(bridge.key)))
  expect(box.unlock(first, await addReader())).toBeUndefined()
  for (const changed of [`A${first.slice(1)}`, `${first.slice(0, -2)}AA`, first.slice(0, 20), '']) {
    if (changed !== first) expect(box.unlock(changed, id)).toBeUndefined()
  }
})

test('while APP_KEY is being replaced a bridge is also told the key that the reader may have from before', async () => {
  const id = await addReader()
  const key = await newKey(id)
  const before = base64url.encode(await readerKey(BEFORE, id, 1))
  expect(await unlockedBy(bridge, id)).toEqual([key, before])
})

test('a new key takes the place of the old one; turned off there is none; and none ever comes back', async () => {
  const id = await addReader()
  const keys = [await newKey(id), await newKey(id)]
  expect((await unlockedBy(bridge, id))?.[0]).toBe(keys[1])

  const { version } = await bridge.config()
  expect((await admin.delete(`/readers/${id}/key`)).status).toBe(204)
  expect((await bridge.config(version)).readers?.find((reader) => reader.id === id)).not.toHaveProperty('keys')
  expectProblem(await admin.delete(`/readers/${id}/key`), 409)

  keys.push(await newKey(id))
  expect((await unlockedBy(bridge, id))?.[0]).toBe(keys[2])
  expect(new Set(keys).size).toBe(3)
})

test('each change is on the audit log with the generation, and never with the key', async () => {
  const id = await addReader()
  const key = await newKey(id)
  await admin.delete(`/readers/${id}/key`)
  const rows = await api.db.select().from(audit).where(eq(audit.targetId, id)).orderBy(audit.number)
  expect(rows.map(({ action, after }) => ({ action, after }))).toMatchObject([
    { action: 'readers.create', after: { keyGeneration: 0 } },
    { action: 'readers.key', after: { keyGeneration: 1 } },
    { action: 'readers.key.delete', after: { keyGeneration: -1 } },
  ])
  expect(JSON.stringify(rows)).not.toContain(key)
})

test('a reader of another profile gets no key, and one that became of another profile has none', async () => {
  const reply = await admin.post(`/readers/${await addReader('plain')}/key`)
  expectProblem(reply, 409)
  expect(reply.body['detail']).toContain('this one has plain')

  const id = await addReader()
  await newKey(id)
  await admin.patch(`/readers/${id}`, { profile: 'plain' })
  expect(await toldTo(bridge, id)).toBeUndefined()
})

test('what is not there has no key', async () => {
  const nowhere = `/readers/${crypto.randomUUID()}/key`
  expectProblem(await admin.post(nowhere), 404)
  expectProblem(await admin.delete(nowhere), 404)
  expectProblem(await admin.post('/readers/front-door/key'), 422, 'id')
  expectProblem(await admin.post(`/readers/${await addReader()}/key?generation=1`), 422)
})

test('a program gets no key of a reader, whatever its role', async () => {
  const program = withToken(api, await keyOf(api, 'admin'))
  const id = await addReader()
  expectProblem(await program.post(`/readers/${id}/key`), 403)
  await newKey(id)
  expectProblem(await program.delete(`/readers/${id}/key`), 403)
})
