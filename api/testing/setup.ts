import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PGlite } from '@electric-sql/pglite'
import postgres from 'postgres'
import type { TestProject } from 'vitest/node'
import { migrate } from '../db/migrate.ts'
import { servePGlite, withDatabase } from './database.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    runtime: 'node' | 'workerd'
    /** What a fresh database is copied from: a database of the real server, or a PGlite's files. */
    template: { server: string; name: string } | { files: string }
    worker: string
  }
}

const TEMPLATE = `lintel_template_${process.pid}`

/** Migrated once, copied for each test file: the real migrations run each time, and no test waits for them. */
const templateOnServer = async (server: string) => {
  const admin = postgres(server, { max: 1, onnotice: () => {} })
  await admin.unsafe(`create database ${TEMPLATE}`)
  await migrate({ url: withDatabase(server, TEMPLATE) })
  const drop = async () => {
    await admin.unsafe(`drop database if exists ${TEMPLATE} with (force)`)
    await admin.end()
  }
  return { template: { server, name: TEMPLATE }, drop }
}

const templateInFile = async (folder: string) => {
  const db = await PGlite.create()
  const { url, close } = await servePGlite(db)
  await migrate({ url })
  const files = join(folder, 'template.tar')
  await writeFile(files, Buffer.from(await (await db.dumpDataDir('none')).arrayBuffer()))
  await close()
  return { template: { files }, drop: async () => {} }
}

/** The Worker as it would be deployed, bundled once for all its tests. */
const bundle = async (folder: string) => {
  const worker = join(folder, 'worker')
  const wrangler = ['node_modules/wrangler/bin/wrangler.js', 'deploy', '--dry-run', '--outdir', worker]
  await promisify(execFile)(process.execPath, wrangler, { env: { ...process.env, WRANGLER_SEND_METRICS: 'false' } })
  return worker
}

let cleanUp: () => Promise<void>

export const setup = async (project: TestProject): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'lintel-tests-'))
  const server = process.env['TEST_DATABASE_URL']
  const [{ template, drop }, worker] = await Promise.all([
    server ? templateOnServer(server) : templateInFile(folder),
    bundle(folder),
  ])
  project.provide('template', template)
  project.provide('worker', worker)
  cleanUp = async () => {
    await drop()
    await rm(folder, { recursive: true, force: true })
  }
}

export const teardown = () => cleanUp()
