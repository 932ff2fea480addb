import { eq } from 'drizzle-orm'
import { base64url, SignJWT } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { bridgeKey } from './access/keys.ts'
import { readConfig } from './config.ts'
import { CALLS } from './contract/envelope.ts'
import { accounts, webhooks } from './db/schema.ts'
import { deriveKey } from './keys.ts'
import { rekey } from './login/rekey.ts'
import { decryptSecret, encryptSecret } from './login/secrets.ts'
import { APP_KEY, PASSWORD, startTestApi, type TestApi } from './testing/api.ts'
import { type Caller, signIn, withToken } from './testing/caller.ts'
import { codeOf, forgetCodes } from './testing/factor.ts'
import { type Bridge, bridgeWith, registerBridge, scanOf } from './testing/sealed.ts'

// APP_KEY is being replaced: the one before is in APP_KEY_PREVIOUS.

const random = () => crypto.getRandomValues(new Uint8Array(32))
const [before, stranger] = [random(), random()]

let api: TestApi
let admin: Caller
let bridge: Bridge

beforeAll(async () => {
  api = await startTestApi({ APP_KEY_PREVIOUS: Buffer.from(before).toString('base64') })
  admin = await signIn(api, 'admin')
  bridge = await registerBridge(api, admin)
})

/** The admin's own token, as it would be under another root key. */
const tokenUnder = async (root: Uint8Array) => {
  const claims = JSON.parse(new TextDecoder().decode(base64url.decode(admin.token.split('.')[1] ?? '')))
  const key = await deriveKey(root, 'lintel access token')
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' }).sign(key)
}

test('a token from before APP_KEY was replaced is still good, one under any other key is not', async () => {
  const status = async (root: Uint8Array) => (await withToken(api, await tokenUnder(root)).get('/me')).status
  expect([await status(before), await status(stranger)]).toEqual([200, 401])
})

test('nothing new is signed with the key from before', async () => {
  const { body } = await api.stranger.post('/login/refresh', { refresh_token: admin.refreshToken })
  const token = String(body['access_token'])
  const [head, claims] = token.split('.')
  const key = await crypto.subtle.importKey(
    'raw',
    Uint8Array.from(await deriveKey(before, 'lintel access token')),
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['verify'],
  )
  const signature = Uint8Array.from(base64url.decode(token.split('.')[2] ?? ''))
  const text = new TextEncoder().encode(`${head}.${claims}`)
  expect(await crypto.subtle.verify('HMAC', key, signature, text)).toBe(false)
})

test('a bridge goes on with the key that it had, and with the one it gets; one of any other key is refused', async () => {
  const under = async (root: Uint8Array, generation: number) =>
    bridgeWith(api, bridge.id, base64url.encode(await bridgeKey(root, bridge.id, generation)))
  const ask = async (who: Bridge) => (await who.ask(CALLS.check, { scan: scanOf(crypto.randomUUID(), '1') })).status
  expect(await ask(await under(before, 1))).toBe(200)
  expect(await ask(bridge)).toBe(200)
  expect(await ask(await under(before, 1))).toBe(200)
  expect(await ask(await under(stranger, 1))).toBe(401)

  const { body } = await admin.post(`/bridges/${bridge.id}/rotate`, { keepMinutes: 0 })
  expect(await ask(await under(before, 1))).toBe(401)
  expect(await ask(bridgeWith(api, bridge.id, String(body['key'])))).toBe(200)
})

test('a secret of before still opens, and is encrypted anew once, after which the key of before is not needed', async () => {
  const other = await signIn(api, 'operator')
  const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
  const root = (key: Uint8Array, previous?: Uint8Array) =>
    readConfig(
      {
        APP_KEY: Buffer.from(key).toString('base64'),
        APP_KEY_PREVIOUS: previous && Buffer.from(previous).toString('base64'),
      },
      { production: false },
    )
  const totpSecret = await encryptSecret(root(before), secret, other.id)
  await api.db.update(accounts).set({ totp: true, totpSecret }).where(eq(accounts.id, other.id))
  const signsIn = () => api.stranger.post('/login', { email: other.email, password: PASSWORD, code: codeOf(secret) })
  expect((await signsIn()).status).toBe(200)

  const current = Buffer.from(APP_KEY, 'base64')
  const stored = async () => {
    const [row] = await api.db.select().from(accounts).where(eq(accounts.id, other.id))
    return String(row?.totpSecret)
  }
  await expect(decryptSecret(root(current), await stored(), other.id)).rejects.toThrow('not there')
  const hook = { id: crypto.randomUUID(), name: 'Pager', url: 'https://receiver.example.org/', createdAt: new Date() }
  await api.db.insert(webhooks).values({ ...hook, secret: await encryptSecret(root(before), 'whsec_x', hook.id) })
  expect(await rekey(api.db, root(current, before), new Date())).toBe(2)
  const [kept] = await api.db.select().from(webhooks)
  expect(await decryptSecret(root(current), String(kept?.secret), hook.id)).toBe('whsec_x')
  expect(await rekey(api.db, root(current, before), new Date())).toBe(0)
  expect(await decryptSecret(root(current), await stored(), other.id)).toBe(secret)
  await forgetCodes(api, other.id)
  expect((await signsIn()).status).toBe(200)
})
