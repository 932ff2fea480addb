import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SetupError } from '../../contract/environment.ts'

export type Env = Record<string, string>

export type Program = {
  name: string
  argv: string[]
  env?: Env
  user?: { uid: number; gid: number } | undefined
  /** What asks it to end. */
  stopWith?: NodeJS.Signals
}

export type Service = { name: string; pid: number; restart(env: Env): Promise<void>; stop(): Promise<void> }

/** Everything that is started, in one folder, with a log file each; ended by pid, last started first. */
export type Processes = {
  /** Starts it, and resolves when `ready` does. */
  start(program: Program, ready: () => Promise<unknown>): Promise<Service>
  /** Runs it to its end; what it printed. Throws that where it fails. */
  run(program: Program): Promise<string>
  stop(): Promise<void>
}

/** How long ago that was, for a column of them. `since` as `performance.now()` gives it. */
export const seconds = (since: number): string => `${((performance.now() - since) / 1_000).toFixed(1).padStart(6)} s`

/** How long something may take to end when asked to, before it is ended. Milliseconds. */
const PATIENCE_MS = 10_000

/** Tries until it succeeds; the last error when it takes too long. */
export const until = async <T>(what: string, attempt: () => Promise<T>, seconds = 120): Promise<T> => {
  const end = performance.now() + seconds * 1_000
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > end) throw new SetupError(`${what} is not ready after ${seconds} s: ${error}`)
      await new Promise((wake) => setTimeout(wake, 100))
    }
  }
}

const end = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill(signal)
  const tooLong = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
  await ended
  clearTimeout(tooLong)
}

/** What everything gets of this machine: nothing else, so that a `.env` or a variable here changes nothing there. */
const base = (): Env => ({ PATH: process.env['PATH'] ?? '', LC_ALL: 'C', NO_COLOR: '1' })

const services: Service[] = []

/** Ends whatever was started, last started first. */
export const stopAll = async (): Promise<void> => {
  for (const service of services.splice(0).reverse()) await service.stop()
}

export const processesIn = (folder: string): Processes => {
  const launch = ({ argv: [command = '', ...args], env = {}, user }: Program) =>
    spawn(command, args, { cwd: folder, env: { ...base(), ...env }, stdio: ['ignore', 'pipe', 'pipe'], ...user })

  return {
    async start(program, ready) {
      const { name, stopWith = 'SIGTERM' } = program
      const log = join(folder, `${name}.log`)
      let current: ChildProcess | undefined
      const begin = async (env: Env = {}) => {
        const child = launch({ ...program, env: { ...program.env, ...env } })
        const file = createWriteStream(log, { flags: 'a' })
        for (const stream of [child.stdout, child.stderr]) stream.pipe(file, { end: false })
        child.on('error', (error) => file.write(`${error.message}\n`))
        current = child
        await until(name, async () => {
          await ready()
          if (child.exitCode !== null) throw new Error('it ended')
        }).catch((error: unknown) => {
          throw new SetupError(`${error}\n${readFileSync(log, 'utf8').slice(-2_000)}`)
        })
      }
      const service = {
        name,
        get pid() {
          return current?.pid ?? 0
        },
        async restart(env: Env) {
          if (current) await end(current, stopWith)
          await begin(env)
        },
        async stop() {
          if (current) await end(current, stopWith)
        },
      }
      // Before it is ready: what never is has to be ended too.
      services.push(service)
      await begin()
      return service
    },
    async run(program) {
      const child = launch(program)
      let said = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (said += text))
      const [code] = await once(child, 'close').catch((error: Error) => {
        throw new SetupError(`${program.name} cannot be run: ${error.message}`)
      })
      if (code !== 0) throw new SetupError(`${program.name} ended with ${code}: ${said.trim()}`)
      return said
    },
    stop: stopAll,
  }
}
