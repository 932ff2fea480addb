import { defineConfig } from 'vitest/config'

// Test files share a process one after another: wrangler alone takes seconds to load, and each has its own database.
const setupFiles = ['./api/testing/endings.ts']
const live = { testTimeout: 30_000, hookTimeout: 60_000, isolate: false, setupFiles }

/** Commands, which no Worker runs. What goes through every route asks the same of a real Postgres from Node, in less time. */
const notOnWorkerd = [
  'api/audit/verify-main.live.test.ts',
  'api/db/card-keys.live.test.ts',
  ...(process.env['TEST_DATABASE_URL'] === undefined
    ? []
    : ['api/fuzz.live.test.ts', 'api/matrix.live.test.ts', 'api/manage/manage.live.test.ts']),
]

/**
 * `x.test.ts` needs nothing; `x.live.test.ts` needs a database or a broker: embedded ones, unless TEST_DATABASE_URL or
 * TEST_MQTT_URL name real ones. What the API promises is tested through its front door, on Node and on workerd alike.
 */
export default defineConfig({
  test: {
    globalSetup: './api/testing/setup.ts',
    // What a bridge is tested for is mostly waiting: so beside it something else runs, on two cores too, and one more.
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
      { test: { name: 'node', include: ['api/**/*.live.test.ts'], provide: { runtime: 'node' }, ...live } },
      {
        test: {
          name: 'workerd',
          include: ['api/**/*.live.test.ts'],
          exclude: notOnWorkerd,
          provide: { runtime: 'workerd' },
          ...live,
        },
      },
      { test: { name: 'bridge', include: ['bridge/**/*.live.test.ts'], ...live } },
    ],
  },
})
