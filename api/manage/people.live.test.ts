import { beforeAll, describe, expect, test } from 'vitest'
import { type Client, startTestApi, type TestApi } from '../testing/api.ts'

let api: TestApi
let admin: Client

beforeAll(async () => {
  api = await startTestApi()
  admin = await api.as('admin')
})

test('a person is added, read, changed and deleted', async () => {
  const added = await admin.post('/people', { name: '  Ada Lovelace ', email: 'Ada@Example.org', employeeNumber: '7' })
  expect(added.status).toBe(201)
  expect(added.body).toEqual({
    id: added.body.id,
    name: 'Ada Lovelace',
    email: 'ada@example.org',
    employeeNumber: '7',
    active: true,
    validFrom: null,
    validUntil: null,
  })
  const path = `/people/${added.body.id}`
  expect((await admin.get(path)).body).toEqual(added.body)

  const changed = await admin.patch(path, { active: false, email: null, validUntil: '2030-01-01T00:00:00+01:00' })
  expect(changed.body).toEqual({ ...added.body, active: false, email: null, validUntil: '2029-12-31T23:00:00.000Z' })

  expect((await admin.delete(path)).status).toBe(204)
  expect((await admin.get(path)).status).toBe(404)
})
