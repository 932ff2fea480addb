import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { SetupError } from '../../api/contract/environment.ts'

export type Start = {
  env?: Record<string, string>
  /** Who it runs as, when not as who runs the bench. */
  user?: { uid: number; gid: number }
  /** What asks it to end. */
  stopWith?: NodeJS.Signals
  /** A file descriptor for what it says; else its last words are kept for the error message. */
  log?: number
}

/** `said` is the first thing it said over IPC; `ask` says something to it and resolves with what it says next. */
export type NodeProcess = { pid: number; said: unknown; ask(message: string): Promise<unknown> }

/** Everything the bench starts, so that it ends exactly that, by pid, last started first. */
export type Processes = {
  start(name: string, command: string, args: string[], options?: Start): ChildProcess
  /** A Node process that says over IPC when it is ready; resolves with what it said. */
  startNode(name: string, args: string[], env: Record<string, string>): Promise<NodeProcess>
  /** Rejects when one of them ends before it was asked to. */
  failed: Promise<never>
  stop(): Promise<void>
}

/** How long something may take to end when asked to, before it is ended. Milliseconds. */
const PATIENCE_MS = 10_000

export const processesIn = (folder: string): Processes => {
  const started: { child: ChildProcess; stopWith: NodeJS.Signals }[] = []
  let stopping = false
  let fail: (error: Error) => void
  const failed = new Promise<never>((_, reject) => {
    fail = reject
  })
  // Whoever awaits it hears of it; until then it is not an unhandled rejection.
  failed.catch(() => {})

  const start = (name: string, command: string, args: string[], options: Start, ipc: boolean): ChildProcess => {
    const { env = {}, user = {}, stopWith = 'SIGTERM', log } = options
    const child = spawn(command, args, {
      // A folder of its own: a `.env` or a `.data` where the bench is run must not change what is measured.
      cwd: folder,
      env: { PATH: process.env['PATH'], NODE_OPTIONS: process.env['NODE_OPTIONS'], ...env },
      stdio: ['ignore', log ?? 'ignore', log ?? 'pipe', ...(ipc ? (['ipc'] as const) : [])],
      ...user,
    })
    started.push({ child, stopWith })
    let words = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-2_000)
    })
    child.on('error', (error) => fail(new SetupError(`${name} cannot be started: ${error.message}.`)))
    child.on('close', (code, signal) => {
      if (!stopping) fail(new SetupError(`${name} ended (${signal ?? code}) before it was asked to. ${words}`.trim()))
    })
    return child
  }

  return {
    failed,
    start: (name, command, args, options = {}) => start(name, command, args, options, false),
    async startNode(name, args, env) {
      const child = start(name, process.execPath, args, { env }, true)
      const next = async () => (await Promise.race([once(child, 'message'), failed]))[0]
      const said = await next()
      const ask: NodeProcess['ask'] = (message) => {
        child.send(message)
        return next()
      }
      return { pid: pidOf(child), said, ask }
    },
    async stop() {
      stopping = true
      for (const { child, stopWith } of started.reverse()) {
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) continue
        const ended = once(child, 'exit')
        child.kill(stopWith)
        const tooLong = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
        await ended
        clearTimeout(tooLong)
      }
    },
  }
}

export const pidOf = ({ pid }: ChildProcess): number => {
  if (pid === undefined) throw new Error('a process was not started')
  return pid
}

/** Runs a command to its end; throws what it said when it fails. */
export const runToEnd = async (name: string, command: string, args: string[], options: Start = {}): Promise<string> => {
  const { env = {}, user = {} } = options
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...user,
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  const [code] = await once(child, 'close').catch((error: Error) => {
    throw new SetupError(`${name} cannot be run: ${error.message}.`)
  })
  if (code !== 0) throw new SetupError(`${name} failed: ${said.trim()}`)
  return said
}

/** Where a program is: on the PATH, or where distributions keep what a server runs. */
export const findProgram = (name: string, ...elsewhere: string[]): string | undefined => {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  // The highest version last in the alphabet is close enough: all of them will do.
  const others = elsewhere.flatMap((pattern) => globSync(pattern).sort().reverse())
  return [...folders, ...others]
    .map((folder) => join(folder, name))
    .find((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
}

/** A port that was free a moment ago. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('a port has no number')
  return address.port
}

/** Tries until it succeeds; the last error when it takes too long. */
export const until = async <T>(what: string, attempt: () => Promise<T>, seconds = 30): Promise<T> => {
  const end = performance.now() + seconds * 1_000
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      const why = error instanceof Error ? error.message || error.name : String(error)
      if (performance.now() > end) throw new SetupError(`${what} is not ready after ${seconds} s (${why}).`)
      await new Promise((wake) => setTimeout(wake, 50))
    }
  }
}
