import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SetupError } from '../../api/contract/environment.ts'
import { until } from '../bench/processes.ts'

export type Command = {
  name: string
  command: string
  args: string[]
  env?: Record<string, string>
  user?: { uid: number; gid: number } | undefined
  /** Throws while it is not ready yet. Left out for a process that says "listening" over IPC. */
  ready?: () => Promise<unknown>
  /** What SIGKILL is for it; a Postgres leaves its children behind otherwise. */
  stopWith?: NodeJS.Signals
}

/** A process that faults may kill, freeze and start again, and that is restarted when it ends by itself, as systemd would. */
export type Service = {
  name: string
  /** Starts it without waiting for anything. */
  launch(): void
  ready(seconds?: number): Promise<void>
  /** Ends it, and resolves when it has; it stays away until the next `launch`. */
  end(signal: NodeJS.Signals): Promise<void>
  /** SIGSTOP and SIGCONT, to it and everything it has started. */
  freeze(): void
  thaw(): void
  /** When it ended without having been asked to, or had to be restarted because it was never ready again, and why. */
  troubles: { at: number; why: string; restarted: boolean }[]
}

const RESTART_MS = 1_000
const PATIENCE_MS = 15_000

export type Services = { add(command: Command): Service; stop(): Promise<void>; all: Service[] }

/** Every process of the run, with a log file each; ended by pid, last added first. */
export const servicesIn = (folder: string): Services => {
  const all: Service[] = []
  return {
    all,
    add(command) {
      const service = serviceOf(command, folder)
      all.push(service)
      return service
    },
    async stop() {
      for (const service of all.toReversed()) {
        service.thaw()
        await service.end('SIGKILL')
      }
    },
  }
}

const serviceOf = ({ name, command, args, env = {}, user, ready, stopWith }: Command, folder: string): Service => {
  const log = openSync(join(folder, `${name}.log`), 'a')
  const troubles: Service['troubles'] = []
  let child: ChildProcess | undefined
  let wanted = false
  let listening = false
  let again: NodeJS.Timeout | undefined

  const launch = () => {
    wanted = true
    listening = false
    // A folder of its own: a `.env` where the harness is run must not change what is tested.
    const started = spawn(command, args, {
      cwd: folder,
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', log, log, ...(ready ? [] : (['ipc'] as const))],
      ...user,
    })
    child = started
    started.on('message', () => {
      listening = true
    })
    started.on('error', (error) => troubles.push({ at: Date.now(), why: error.message, restarted: false }))
    started.on('exit', (code, signal) => {
      if (child !== started) return
      child = undefined
      if (!wanted) return
      troubles.push({ at: Date.now(), why: `ended by itself (${signal ?? code})`, restarted: false })
      again = setTimeout(launch, RESTART_MS)
    })
  }

  const isReady = async () => {
    if (!child) throw new Error('it does not run')
    if (ready) await ready()
    else if (!listening) throw new Error('it does not listen')
  }

  return {
    name,
    troubles,
    launch,
    ready: (seconds = 45) => until(name, isReady, seconds),
    async end(signal) {
      wanted = false
      clearTimeout(again)
      const ending = child
      if (!ending) return
      const ended = once(ending, 'exit')
      ending.kill(signal === 'SIGKILL' ? (stopWith ?? signal) : signal)
      const tooLong = setTimeout(() => ending.kill('SIGKILL'), PATIENCE_MS)
      await ended
      clearTimeout(tooLong)
    },
    // The parent first, so that it starts no more; and last when they go on.
    freeze: () => signalAll('SIGSTOP', family(child?.pid)),
    thaw: () => signalAll('SIGCONT', family(child?.pid).reverse()),
  }
}

/** A process and all that came from it, as Linux's /proc has them. */
const family = (pid: number | undefined): number[] => {
  if (pid === undefined) return []
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
    } catch {
      // It has just ended.
    }
  }
  const found = [pid]
  for (const one of found) for (const [child, parent] of parents) if (parent === one) found.push(child)
  return found
}

const signalAll = (signal: NodeJS.Signals, pids: number[]) => {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // It has just ended.
    }
  }
}

/** A user of this machine by name, when we are root and there is one. */
export const userNamed = (name: string): { uid: number; gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const id = (what: '-u' | '-g') => Number(execFileSync('id', [what, name], { encoding: 'utf8' }))
  try {
    return { uid: id('-u'), gid: id('-g') }
  } catch {
    throw new SetupError(`There is no user ${name} on this machine, and this server does not run as root.`)
  }
}
