import { eq } from 'drizzle-orm'
import { record } from '../audit/audited.ts'
import { apiKeys } from '../db/schema.ts'
import { hashOf, KEY_PREFIX, newSecret } from '../login/tokens.ts'
import type { Db } from '../platform.ts'
import { fault, type Line, ok, unseen } from './line.ts'

/*
 * Does anything between the API and the database keep what was read? Hyperdrive does by default, for a minute: a card that
 * was blocked would go on opening doors. Found by measurement: a row is written, read through the API, changed, and read
 * again. The row is an API key that may read API keys, for a minute, and the change is its name: so one row is both what
 * asks and what is asked for, and no facts of the site change. It is on the audit log, and gone afterwards.
 *
 * The key's own hash is asked for with the instant, each time another statement; a row by its id is the same one each time.
 */

/** What the API said the row's name is: before the change and after, or why it said none. */
export type Read = { name: string } | { status: number }

export const caching = (before: Read, after: Read, first: string, second: string): Line => {
  const check = 'caching'
  const mend = 'npx wrangler hyperdrive update (id) --caching-disabled true'
  const status = 'status' in before ? before.status : 'status' in after ? after.status : undefined
  if (status !== undefined)
    return unseen(check, `the API did not say what it reads (${status}).`, 'Look at the log of the API')
  const [was, is] = [before, after].map((read) => ('name' in read ? read.name : ''))
  if (was === first && is === second) return ok(check, 'What was changed is read changed, at once.')
  if (was === first && is === first)
    return fault(check, 'The API read what is not there any more: a blocked card goes on opening doors.', mend)
  return unseen(check, 'the API reads another database than DATABASE_URL.', 'The same database for both')
}

const MINUTE_MS = 60_000

/** Asks the API: a path, with a key. */
export type AskApi = (path: string, key: string) => Promise<{ status: number; body: string }>

export const measureCaching = async (db: Db, ask: AskApi, now: Date): Promise<Line> => {
  const key = `${KEY_PREFIX}${newSecret()}`
  const [first, second] = ['doctor, before', 'doctor, after']
  const by = { at: now, address: null, actor: { kind: 'system', id: null } } as const
  const row = {
    name: first,
    role: 'auditor' as const,
    scopes: ['api-keys:read'],
    prefix: key.slice(0, KEY_PREFIX.length + 6),
    createdAt: now,
    expiresAt: new Date(now.getTime() + MINUTE_MS),
    // Otherwise the API writes it down, and what it reads would be new for that.
    lastUsedAt: now,
  }
  const id = await db.transaction(async (tx) => {
    const [made] = await tx
      .insert(apiKeys)
      .values({ ...row, hash: await hashOf(key) })
      .returning({ id: apiKeys.id })
    const id = made?.id ?? ''
    await record(tx, by, 'api-keys.create', { target: { kind: 'api-key', id }, after: { id, ...row } })
    return id
  })
  const read = async (): Promise<Read> => {
    const { status, body } = await ask(`/api/v1/api-keys/${id}`, key)
    return status === 200 ? { name: String(JSON.parse(body).name) } : { status }
  }
  try {
    const before = await read()
    await db.update(apiKeys).set({ name: second }).where(eq(apiKeys.id, id))
    return caching(before, await read(), first, second)
  } finally {
    await db.transaction(async (tx) => {
      await tx.delete(apiKeys).where(eq(apiKeys.id, id))
      await record(tx, by, 'api-keys.delete', { target: { kind: 'api-key', id }, before: { id, ...row } })
    })
  }
}
