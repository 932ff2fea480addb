import { expect, test } from 'vitest'
import { makeFirstAccount } from './first-account.ts'
import type { Platform } from './platform.ts'

/** A database without accounts, that takes none. */
const empty = {
  db: {
    select: () => ({ from: () => ({ limit: async () => [] }) }),
    transaction: () => {
      throw new Error('written')
    },
  },
  password: { hash: async () => 'hash', verify: async () => false },
} as unknown as Platform

const start = (ADMIN_PASSWORD: string, production = true) =>
  makeFirstAccount(empty, { ADMIN_EMAIL: 'admin@lintel.local', ADMIN_PASSWORD, production })

test.each(['passwordpassword', 'Administrator2026!', 'admin@lintel.local', 'lintellintellintel'])(
  'in production the first account does not get the password %s',
  async (password) => {
    const refused = start(password)
    await expect(refused).rejects.toThrow(/^ADMIN_PASSWORD is .*: choose another one/)
    await expect(refused).rejects.not.toThrow(password)
  },
)

test('one that nobody guesses is taken', async () => {
  await expect(start('correct horse battery staple')).rejects.toThrow('written')
  await expect(start('lintel', false)).rejects.toThrow('written')
})
