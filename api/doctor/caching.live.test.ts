import { inArray, like } from 'drizzle-orm'
import { beforeAll, expect, test } from 'vitest'
import { apiKeys, audit } from '../db/schema.ts'
import { startTestApi, type TestApi } from '../testing/api.ts'
import { type AskApi, measureCaching } from './caching.ts'

// Whether something between the API and the database keeps what was read, on Node and on workerd.

let api: TestApi

beforeAll(async () => {
  api = await startTestApi()
})

const ask: AskApi = async (path, key) => {
  const response = await api.fetch(path, { headers: { authorization: `Bearer ${key}` } })
  return { status: response.status, body: await response.text() }
}

/** As Hyperdrive is by default: what was asked before gets the answer of before. */
const cached = (ask: AskApi): AskApi => {
  const kept = new Map<string, ReturnType<AskApi>>()
  return (path, key) => {
    const answer = kept.get(path) ?? ask(path, key)
    kept.set(path, answer)
    return answer
  }
}

test('an API that reads what is there is well, and one that reads what was there is not', async () => {
  expect(await measureCaching(api.db, ask, new Date())).toMatchObject({ check: 'caching', state: 'ok' })
  expect(await measureCaching(api.db, cached(ask), new Date())).toMatchObject({ check: 'caching', state: 'fault' })
})

test('what was made for it is gone, also when the API does not answer, and both are on record', async () => {
  const away: AskApi = () => Promise.reject(new Error('away'))
  await expect(measureCaching(api.db, away, new Date())).rejects.toThrow('away')
  expect(await api.db.select().from(apiKeys).where(like(apiKeys.name, 'doctor%'))).toEqual([])
  const rows = await api.db
    .select()
    .from(audit)
    .where(inArray(audit.action, ['api-keys.create', 'api-keys.delete']))
  expect(rows.map(({ action, actorKind }) => `${actorKind} ${action}`)).toEqual(
    Array.from({ length: 3 }, () => ['system api-keys.create', 'system api-keys.delete']).flat(),
  )
  expect(JSON.stringify(rows)).not.toMatch(/"hash":"[^"]{43,}"\}?,"after/)
})
