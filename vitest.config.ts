import { defineConfig } from 'vitest/config'

// Test files share a process one after another: wrangler alone takes seconds to load, and each has its own database.
const setupFiles = ['./api/testing/endings.ts']
const live = { testTimeout: 30_000, hookTimeout: 120_000, isolate: false, setupFiles }

/** Processes, commands and brokers, which no Worker runs. */
const commands = [
  'api/drain.live.test.ts',
  'api/audit/verify-main.live.test.ts',
  'api/broker/devices.live.test.ts',
  'api/db/card-keys.live.test.ts',
  'api/doctor/doctor.live.test.ts',
]

/**
 * What takes a real Postgres to be seen: two versions beside each other, locks, roles; and pg_dump, whose like for the embedded
 * database bridge/restore.live.test.ts goes through.
 */
const onPostgres = [
  'api/versions.live.test.ts',
  'api/backup/backup.live.test.ts',
  'api/db/{migrate,owner}.live.test.ts',
]

/** What asks nothing of the database that PGlite, which is Postgres, does not answer: who may do what, and in which words. */
const onceIsEnough = [
  'api/{fuzz,hardening,matrix}.live.test.ts',
  'api/audit/verify-main.live.test.ts',
  'api/broker/broker.live.test.ts',
  'api/doctor/*.live.test.ts',
  'api/login/{attacks,factor,proof,required-factor,reset}.live.test.ts',
  'api/manage/invitation.live.test.ts',
]

const isReal = process.env['TEST_DATABASE_URL'] !== undefined

/**
 * Where several connections meet, in locks, transactions and counts: PGlite has one, so of a Worker only a real Postgres can
 * tell. All else is asked of a real Postgres from Node, and of a Worker on PGlite.
 */
const whereConnectionsMeet = [
  'api/{app,per-minute}.live.test.ts',
  'api/access/{check,commands,hand-over,pins}.live.test.ts',
  'api/audit/audit.live.test.ts',
  'api/login/limits.live.test.ts',
  'api/manage/{enrolments,reader-keys,stream}.live.test.ts',
  'api/manage/imports/imports.live.test.ts',
]

/**
 * `x.test.ts` needs nothing; `x.live.test.ts` needs a database or a broker: embedded ones, unless TEST_DATABASE_URL or
 * TEST_MQTT_URL name real ones. What the API promises is tested through its front door, on Node and on workerd alike.
 */
export default defineConfig({
  test: {
    globalSetup: './api/testing/setup.ts',
    // One more than there are cores on a small machine: every test waits for something now and then.
    maxWorkers: 3,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{api,bridge}/**/*.test.ts'],
          exclude: ['**/*.live.test.ts'],
          // Some sync hundreds of files to disk, and disks differ.
          testTimeout: 30_000,
          setupFiles,
        },
      },
      {
        test: {
          name: 'node',
          include: ['api/**/*.live.test.ts'],
          exclude: isReal ? onceIsEnough : onPostgres,
          provide: { runtime: 'node' },
          ...live,
        },
      },
      {
        test: {
          name: 'workerd',
          include: isReal ? whereConnectionsMeet : ['api/**/*.live.test.ts'],
          exclude: [...commands, ...onPostgres],
          provide: { runtime: 'workerd' },
          ...live,
        },
      },
      {
        test: {
          name: 'bridge',
          include: ['bridge/**/*.live.test.ts'],
          ...live,
          // On embedded services by itself, after all others: its tests mostly wait, and what they wait for wants the machine.
          ...(!isReal && { maxWorkers: 4, sequence: { groupOrder: 1 } }),
        },
      },
    ],
  },
})
