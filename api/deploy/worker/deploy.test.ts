import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'

/*
 * `npm run deploy` with a wrangler that says what the real one (4.164) says, and writes down what it was asked.
 */

const folder = mkdtempSync(join(tmpdir(), 'lintel-deploy-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const ID = '0123456789abcdef0123456789abcdef'
const toml = readFileSync('wrangler.toml', 'utf8')
const GOOD = {
  whoami: '{"loggedIn":true,"email":"someone@example.org"}',
  secrets: '[\n  {\n    "name": "APP_KEY",\n    "type": "secret_text"\n  }\n]',
  hyperdrive: `{\n  "id": "${ID}",\n  "origin": { "host": "db.example.org" },\n  "caching": {\n    "disabled": true\n  }\n}`,
  id: ID,
  database: '',
}

writeFileSync(
  join(folder, 'wrangler'),
  `#!/bin/sh
echo "$@" >> "${folder}/asked"
case "$1" in
  whoami) cat "${folder}/whoami"; grep -q true "${folder}/whoami" ;;
  secret) cat "${folder}/secrets"; grep -q APP_KEY "${folder}/secrets" || grep -q '^\\[' "${folder}/secrets" ;;
  hyperdrive) cat "${folder}/hyperdrive"; grep -q '^{' "${folder}/hyperdrive" ;;
  deploy) echo deployed ;;
esac
`,
)
chmodSync(join(folder, 'wrangler'), 0o755)

const deploy = async (is: Partial<typeof GOOD>, ...args: string[]) => {
  const now = { ...GOOD, ...is }
  for (const name of ['whoami', 'secrets', 'hyperdrive'] as const) writeFileSync(join(folder, name), `${now[name]}\n`)
  writeFileSync(join(folder, 'wrangler.toml'), toml.replace(/^id = ".*"$/m, `id = "${now.id}"`))
  rmSync(join(folder, 'asked'), { force: true })
  const env = { PATH: `${folder}:${process.env['PATH']}`, ...(now.database && { DATABASE_URL: now.database }) }
  const answer = await new Promise<{ code: number; said: string }>((done) => {
    const main = resolve('api/deploy/worker/deploy-main.ts')
    const child = execFile(process.execPath, [main, ...args], { cwd: folder, env }, (_, out, err) => {
      done({ code: child.exitCode ?? 1, said: out + err })
    })
  })
  const asked = existsSync(join(folder, 'asked')) ? readFileSync(join(folder, 'asked'), 'utf8').trim().split('\n') : []
  return { ...answer, asked, deployed: asked.some((line) => line.startsWith('deploy')) }
}

test.each([
  [
    'the Hyperdrive is still the example’s',
    { id: '0'.repeat(32) },
    /names no Hyperdrive: npx wrangler hyperdrive create/,
  ],
  ['nobody is signed in', { whoami: '{"loggedIn":false}' }, /Nobody is signed in/],
  ['no secret is set', { secrets: '[]' }, /secret APP_KEY is not set/],
  [
    'the Worker is not there yet',
    { secrets: 'This Worker does not exist on your account. [code: 10007]' },
    /secret APP_KEY is not set/,
  ],
  ['which secrets are set cannot be told', { secrets: 'Authentication error [code: 10000]' }, /cannot be told/],
  [
    'Hyperdrive caches',
    { hyperdrive: `{\n  "id": "${ID}",\n  "caching": {\n    "disabled": false,\n    "max_age": 60\n  }\n}` },
    /Hyperdrive caches/,
  ],
  ['Hyperdrive caches, and does not say so', { hyperdrive: `{\n  "id": "${ID}"\n}` }, /Hyperdrive caches/],
  ['there is no such Hyperdrive', { hyperdrive: 'not found [code: 2008]' }, /Hyperdrive knows nothing of the id/],
  ['the database is away', { database: 'postgres://lintel@127.0.0.1:1/lintel' }, /cannot be reached/],
])('nothing is deployed where %s', async (_, is, sentence) => {
  const { code, said, deployed } = await deploy(is)
  expect({ code, deployed }).toEqual({ code: 1, deployed: false })
  expect(said).toMatch(/^Nothing was deployed\.\n/)
  expect(said).toMatch(sentence)
  expect(said.trim().split('\n')).toHaveLength(2)
})

test('everything that is missing is said at once', async () => {
  const { said } = await deploy({ id: '0'.repeat(32), secrets: '[]' })
  expect(said.trim().split('\n')).toHaveLength(3)
})

test('where nothing is missing it is deployed, with what wrangler is told besides', async () => {
  const { code, asked, said } = await deploy({}, '--minify')
  expect({ code, last: asked.at(-1) }).toEqual({ code: 0, last: 'deploy --minify' })
  expect(asked).toContain(`hyperdrive get ${ID}`)
  expect(said).toContain('DATABASE_URL is not set')
})

test.each([['--env', 'staging'], ['--env=staging'], ['-e', 'staging']])(
  'an environment (%s) is refused: what is missing there was not looked at',
  async (...args) => {
    const { code, asked, said } = await deploy({}, ...args)
    expect({ code, asked }).toEqual({ code: 1, asked: [] })
    expect(said).toContain('leave --env out')
  },
)
