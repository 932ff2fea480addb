import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, copyFileSync, globSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SetupError } from '../../contract/environment.ts'
import { freePort } from '../../testing/free-port.ts'
import type { Env } from './processes.ts'

export const repository = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '')

/** The command of a script in package.json, to be run in another folder than this one. */
export const script = (name: string, ...args: string[]): string[] => {
  const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'))
  const line: unknown = scripts[name]
  if (typeof line !== 'string') throw new SetupError(`There is no npm run ${name}.`)
  const [node = '', ...words] = line.split(' ')
  if (node !== 'node') throw new SetupError(`npm run ${name} is no command of Node.`)
  const absolute = words.map((word) => (/^(\.\/)?(api|bridge)\//.test(word) ? join(repository, word) : word))
  return [process.execPath, ...absolute, ...args]
}

/** Where a program is: on the PATH, or where Debian keeps what a server runs. */
export const programCalled = (name: string, ...elsewhere: string[]): string => {
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    ...elsewhere.flatMap((place) => globSync(place).sort().reverse()),
  ]
  const found = folders
    .map((folder) => join(folder, name))
    .find((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
  if (found === undefined)
    throw new SetupError(
      `There is no ${name} on this machine: apt-get install postgresql mosquitto mosquitto-clients caddy openssl`,
    )
  return found
}

/** Postgres does not run as root. */
export const postgresUser = (): { uid: number; gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const id = (what: string) => Number(execFileSync('id', [what, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

export type Machine = {
  folder: string
  tls: string
  ports: Record<'postgres' | 'broker' | 'api' | 'bridge' | 'http' | 'https', number>
  /** A file that is shipped in api/deploy, with its paths and ports moved here; each must be in it. */
  moved(from: string, to: string, places: Record<string, string>): string
  secret(bytes?: number): string
  /** A file of settings, for its owner alone. */
  settings(name: string, env: Env): string
  copyFor(user: { uid: number; gid: number } | undefined, from: string, to: string): string
}

export const machineIn = async (folder: string): Promise<Machine> => {
  chmodSync(folder, 0o755)
  const names = ['postgres', 'broker', 'api', 'bridge', 'http', 'https'] as const
  const ports = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await freePort()])),
  ) as Machine['ports']
  return {
    folder,
    tls: join(folder, 'tls'),
    ports,
    moved(from, to, places) {
      let text = readFileSync(join(repository, 'api/deploy', from), 'utf8')
      for (const [place, here] of Object.entries(places)) {
        if (!text.includes(place)) throw new Error(`${from} has no ${place}`)
        text = text.replaceAll(place, here)
      }
      writeFileSync(join(folder, to), text)
      return join(folder, to)
    },
    secret: (bytes = 24) => randomBytes(bytes).toString('hex'),
    settings(name, env) {
      const file = join(folder, name)
      writeFileSync(
        file,
        Object.entries(env)
          .map(([variable, value]) => `${variable}=${value}\n`)
          .join(''),
        { mode: 0o600 },
      )
      return file
    },
    copyFor(user, from, to) {
      mkdirSync(join(to, '..'), { recursive: true })
      copyFileSync(from, to)
      chmodSync(to, 0o600)
      if (user) chownSync(to, user.uid, user.gid)
      return to
    },
  }
}
