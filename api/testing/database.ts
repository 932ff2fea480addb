import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import postgres from 'postgres'
import { inject } from 'vitest'
import { freePort } from './free-port.ts'
import { oneAtATime } from './one-at-a-time.ts'

export type TestDatabase = { url: string; close(): Promise<void> }

export const withDatabase = (server: string, name: string): string => {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}

/** A PGlite behind a port, as postgres.js and workerd want it. */
export const servePGlite = async (db: PGlite): Promise<TestDatabase> => {
  const port = await freePort()
  const server = new PGLiteSocketServer({ db, port, host: '127.0.0.1', maxConnections: 100 })
  await server.start()
  const gate = await oneAtATime(port)
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${gate.port}/postgres`,
    async close() {
      await gate.close()
      await server.stop()
      await db.close()
    },
  }
}

/** A migrated, empty database of one's own. */
export const freshDatabase = async (): Promise<TestDatabase> => {
  const template = inject('template')
  if ('files' in template) {
    const loadDataDir = new Blob([await readFile(template.files)])
    return servePGlite(await PGlite.create({ loadDataDir }))
  }
  const name = `lintel_test_${randomUUID().replaceAll('-', '')}`
  const admin = postgres(template.server, { max: 1, onnotice: () => {} })
  await admin.unsafe(`create database ${name} template ${template.name}`)
  return {
    url: withDatabase(template.server, name),
    async close() {
      await admin.unsafe(`drop database ${name} with (force)`)
      await admin.end()
    },
  }
}
