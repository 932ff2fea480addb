import { execFile } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { readNodeConfig } from '../node-config.ts'
import { tryToAsk } from './ask.ts'
import { numberIn, ofItself } from './bridges.ts'
import { clock } from './clocks.ts'
import type { Line } from './line.ts'
import * as settings from './settings.ts'
import * as versions from './versions.ts'

type Env = Record<string, unknown>

const run = promisify(execFile)
const HERE = fileURLToPath(new URL('../..', import.meta.url))
const NPM_MS = 30_000

const isIn = (command: string[], folder: string): Promise<boolean> =>
  run('git', command, { cwd: folder }).then(
    () => true,
    () => false,
  )

const lookAtGit = async (folder: string) => {
  if (!existsSync(join(folder, '.env')) || !(await isIn(['rev-parse', '--git-dir'], folder))) return undefined
  const [tracked, ignored] = await Promise.all([
    isIn(['ls-files', '--error-unmatch', '.env'], folder),
    isIn(['check-ignore', '-q', '.env'], folder),
  ])
  return { tracked, ignored }
}

/** Those of these files that are there, with their modes. */
const modesOf = (paths: readonly string[]) =>
  paths.filter((path) => existsSync(path)).map((path) => ({ path, mode: statSync(path).mode }))

/** npm exits with 1 when there are holes, and prints them all the same. */
const npmAudit = (): Promise<string | undefined> =>
  run('npm', ['audit', '--omit=dev', '--json', '--fetch-retries=0'], {
    cwd: HERE,
    timeout: NPM_MS,
    maxBuffer: 64 * 1024 * 1024,
  }).then(
    ({ stdout }) => stdout,
    (error: unknown) => (error instanceof Error && 'stdout' in error ? String(error.stdout) : undefined),
  )

/** What can be told without asking anybody but npm: settings, files, versions. `folder` is where .env lies. */
export const lookHere = async (env: Env, folder: string, now: Date): Promise<Line[]> => {
  const dataDir = settings.setting(env, 'DATA_DIR') ?? '.data'
  const secret = ['secrets.json', 'bridge.json'].map((name) => resolve(folder, dataDir, name))
  const given = settings.setting(env, 'APP_KEY')
  const isTrial = settings.setting(env, 'DATABASE_URL') === undefined
  return [
    settings.configuration(() => readNodeConfig(env)),
    settings.productionMode(env),
    settings.envFile(modesOf([join(folder, '.env'), ...secret])),
    settings.envInGit(await lookAtGit(folder)),
    settings.appKey(given === undefined && isTrial ? madeUp(env) : settings.bytesOf(given), given !== undefined),
    settings.secrets(env),
    versions.node(process.version, now),
    versions.dependencies(await npmAudit()),
  ]
}

const madeUp = (env: Env): Uint8Array | undefined => {
  try {
    return readNodeConfig(env).app.APP_KEY
  } catch {
    return undefined
  }
}

/** The bridge that runs on this machine, as it says itself. */
export const lookAtOwnBridge = async (env: Env): Promise<Line[]> => {
  const port = settings.setting(env, 'BRIDGE_PORT')
  const token = settings.setting(env, 'METRICS_TOKEN')
  const host = settings.setting(env, 'BRIDGE_HOST') ?? '127.0.0.1'
  const reached = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  const heard =
    port === undefined
      ? undefined
      : await tryToAsk(`http://${reached}:${port}/metrics`, {
          headers: token ? { authorization: `Bearer ${token}` } : {},
        })
  const text = heard?.status === 200 ? heard.body : undefined
  const seconds = text === undefined ? undefined : numberIn(text, 'lintel_bridge_clock_offset_seconds')
  const ms = seconds === undefined ? undefined : seconds * 1_000
  return [
    ...ofItself(text, port !== undefined),
    clock(
      'clock-bridge',
      'The bridge’s clock',
      'the API’s',
      ms === undefined ? undefined : { least: ms, most: ms },
      'BRIDGE_PORT=9464',
    ),
  ]
}
