import { expect, test } from 'vitest'
import { readConfig } from '../config.ts'
import { decryptSecret, encryptSecret } from './secrets.ts'

const configOf = (add: number) =>
  readConfig(
    { APP_KEY: Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 37 + add) % 256)).toString('base64') },
    { production: false },
  )
const config = configOf(11)
const SECRET = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'

test('what was encrypted for a row is read again for that row', async () => {
  const stored = await encryptSecret(config, SECRET, 'row')
  expect(stored).toMatch(/^v1\.[\w-]{8}\.[\w-]{16}\.[\w-]{64}$/)
  expect(await decryptSecret(config, stored, 'row')).toBe(SECRET)
})

test('the same text is never stored twice in the same way, but names the same key', async () => {
  const [one, other] = await Promise.all([1, 2].map(() => encryptSecret(config, SECRET, 'row')))
  expect(one).not.toBe(other)
  expect(one?.split('.')[1]).toBe(other?.split('.')[1])
})

test('it is of no use in another row, with another key, or under another version', async () => {
  const stored = await encryptSecret(config, SECRET, 'row')
  await expect(decryptSecret(config, stored, 'other row')).rejects.toThrow()
  await expect(decryptSecret(configOf(12), stored, 'row')).rejects.toThrow('APP_KEY has changed')
  await expect(decryptSecret(config, stored.replace('v1', 'v2'), 'row')).rejects.toThrow()
})

test('a change to any part of it is found', async () => {
  const stored = await encryptSecret(config, SECRET, 'row')
  const [, , iv = '', sealed = ''] = stored.split('.')
  for (const part of [iv, sealed]) {
    const turned = `${part[0] === 'A' ? 'B' : 'A'}${part.slice(1)}`
    await expect(decryptSecret(config, stored.replace(part, turned), 'row')).rejects.toThrow()
  }
  for (const broken of ['', 'v1', stored.slice(0, -2), SECRET]) {
    await expect(decryptSecret(config, broken, 'row')).rejects.toThrow()
  }
})
