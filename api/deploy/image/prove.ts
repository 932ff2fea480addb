import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../testing/free-port.ts'
import { build, type Image, namesIn, pathsIn } from './build.ts'
import { filesOf, type Outcome, outcomeOf, startIn } from './layers.ts'

/*
 * Proves the Dockerfile where there is no Docker: runs its lines, each in an empty folder, and then what it makes, as its user,
 * with a root file system that nobody can write to. `npm run image:prove` runs it; it needs root, and nothing of this machine changes.
 */

if (process.getuid?.() !== 0) {
  console.error('The Dockerfile is proved as root only: each line runs in a file system of its own.')
  process.exit(1)
}

const context = fileURLToPath(new URL('../../../', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'lintel-image-'))
const running = new Set<ChildProcess>()

const startImage = (image: Image, argv: string[], env: Record<string, string> = {}): ChildProcess => {
  const writable = Object.fromEntries(image.volumes.map((path) => [path, join(folder, 'volumes', path)]))
  const child = startIn(image.layer, argv, { ...image, env: { ...image.env, ...env }, writable })
  running.add(child)
  child.on('exit', () => running.delete(child))
  return child
}
const runImage = (image: Image, argv: string[], env?: Record<string, string>): Promise<Outcome> =>
  outcomeOf(startImage(image, argv, env))

/** What Docker does with a volume that is new: it gets the owner and the rights of the folder in the image. */
const makeVolumes = (image: Image): void => {
  for (const path of image.volumes) {
    const outside = join(folder, 'volumes', path)
    mkdirSync(outside, { recursive: true })
    const { uid, gid, mode } = statSync(join(filesOf(image.layer), path))
    execFileSync('chown', [`${uid}:${gid}`, outside])
    execFileSync('chmod', [(mode & 0o777).toString(8), outside])
  }
}

const saying = async (child: ChildProcess, text: RegExp, seconds = 60): Promise<string> => {
  let said = ''
  const heard = new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (words: Buffer) => {
        said += words
        if (text.test(said)) resolve(said)
      })
    }
    child.once('exit', (code) => reject(new Error(`It ended with ${code} and never said ${text}:\n${said}`)))
    setTimeout(() => reject(new Error(`It never said ${text}:\n${said}`)), seconds * 1_000).unref()
  })
  return heard
}

const endOf = async (child: ChildProcess): Promise<number | null> => {
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  return (await ended)[0]
}

let proved = 0
const prove = async (what: string, check: () => void | Promise<void>): Promise<void> => {
  await check()
  proved += 1
  console.log(`  ✓ ${what}`)
}

const all = async (): Promise<void> => {
  const image = await build(context, folder, realpathSync(process.execPath), (line) => console.log(`  ${line}`))
  makeVolumes(image)
  const { cmd, healthcheck } = image
  const port = String(await freePort())
  const secrets = {
    APP_KEY: execFileSync('openssl', ['rand', '-base64', '32'], { encoding: 'utf8' }).trim(),
    ADMIN_PASSWORD: execFileSync('openssl', ['rand', '-base64', '18'], { encoding: 'utf8' }).trim(),
    PORT: port,
  }

  await prove('nothing is in it that a build must not see', () => {
    assert.deepEqual(
      pathsIn(image, 'lintel/**/*.test.ts').filter((path) => !path.includes('node_modules')),
      [],
    )
    assert.deepEqual(namesIn(image, 'lintel').sort(), [
      'api',
      'bridge',
      'drizzle',
      'node_modules',
      'package-lock.json',
      'package.json',
    ])
    assert.deepEqual(pathsIn(image, 'lintel/node_modules/{vitest,wrangler,node,@biomejs,drizzle-kit}'), [])
  })
  await prove(
    'it is nobody of this machine, owns no file of the program, and can write only to its volumes and /tmp',
    async () => {
      assert.equal((await runImage(image, ['id', '-u'])).said.trim(), '10001')
      assert.equal((await runImage(image, ['find', '/lintel', '-user', '10001'])).said, '')
      assert.equal((await runImage(image, ['find', '/lintel', '!', '-type', 'l', '-perm', '/022'])).said, '')
      assert.match(
        (await runImage(image, ['touch', '/lintel/x', '/usr/x'])).said,
        /\/lintel\/x.*Read-only[\s\S]*\/usr\/x.*Read-only/,
      )
      assert.equal((await runImage(image, ['touch', '/data/x', '/backups/x', '/tmp/x'])).code, 0)
    },
  )
  await prove('the driver is repaired, and what was compiled is found by the user that it runs as', async () => {
    const driver = readFileSync(join(filesOf(image.layer), 'lintel/node_modules/postgres/src/connection.js'), 'utf8')
    assert.match(driver, /if \(socket === null\)/)
    const [cache = ''] = namesIn(image, 'lintel/node_modules/.cache/lintel')
    assert.match(cache, /-10001$/)
    const { said } = await runImage(image, ['node', '--import', './api/compile-cache.mjs', 'api/db/migrate-main.ts'], {
      NODE_DEBUG_NATIVE: 'COMPILE_CACHE',
    })
    assert.match(said, /cache for .*\/api\/contract\/environment\.ts was accepted/)
    assert.match(said, /DATABASE_URL is not set/)
  })
  await prove('it has the programs that a backup wants', async () => {
    assert.match((await runImage(image, ['pg_dump', '--version'])).said, /^pg_dump \(PostgreSQL\) \d/)
    assert.match((await runImage(image, ['psql', '--version'])).said, /^psql/)
  })
  await prove(
    'it is not healthy while nothing runs, is when the API does, and ends well when it is told to',
    async () => {
      assert.equal((await runImage(image, healthcheck, { PORT: port })).code, 1)
      const api = startImage(image, cmd, secrets)
      await saying(api, /listens at http:\/\/0\.0\.0\.0:/)
      assert.deepEqual(await runImage(image, healthcheck, { PORT: port }), { code: 0, said: '200\n' })
      assert.equal(await endOf(api), 0)
    },
  )
  await prove('without its secrets it does not start, and says which', async () => {
    const { code, said } = await runImage(image, cmd)
    assert.equal(code, 1)
    assert.match(said, /APP_KEY is not set/)
  })
  await prove('the same image is the bridge', async () => {
    const { scripts } = JSON.parse(readFileSync(join(context, 'package.json'), 'utf8'))
    const bridge = startImage(image, String(scripts.bridge).split(' '), {
      API_URL: `http://127.0.0.1:${port}`,
      BRIDGE_ID: '0198c1a2-0000-7000-8000-0000000000b1',
      BRIDGE_KEY: execFileSync('openssl', ['rand', '-base64', '32'], { encoding: 'utf8' })
        .replaceAll('+', '-')
        .replaceAll('/', '_')
        .slice(0, 43),
      MQTT_URL: 'mqtts://127.0.0.1:1',
    })
    await saying(bridge, /"event":"api_/)
    assert.equal(await endOf(bridge), 0)
  })
  await prove('and every command: the audit log of what the API has just done is whole', async () => {
    const { code, said } = await runImage(image, ['npm', 'run', 'audit:verify'], secrets)
    assert.equal(code, 0, said)
  })
}

try {
  await all()
  console.log(`${proved} proofs of the image`)
} finally {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}
