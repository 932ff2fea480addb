import { setTimeout as pause } from 'node:timers/promises'
import { type Command, MOST_COMMANDS, MOST_WAIT_MS, type Outcome } from '../api/contract/commands.ts'
import { type Api, askForCommands, Refused, reportOutcomes } from './ask.ts'
import type { Done, Doors } from './doors/doors.ts'
import type { Link } from './link.ts'
import { type Log, nameOf } from './log.ts'
import type { DoorRef } from './news.ts'
import type { Site } from './site.ts'

/** After the API did not answer it is left alone for so long, or up to twice that. Milliseconds. */
const REST_MS = 1_000

/** A look at the site that failed is tried again after this, as long as the command is good. Milliseconds. */
const LOOK_AGAIN_MS = 200

/** So long an outcome is said again while the API is away, and so long a command is known again. Milliseconds. */
const TELL_FOR_MS = 60_000
const KNOW_FOR_MS = 300_000

type Parts = {
  api: Api
  doors: Pick<Doors, 'open' | 'settle'>
  site: Pick<Site, 'look' | 'version'>
  link: Pick<Link, 'up' | 'failedAside'>
  log: Log
}

/**
 * Takes what the API wants doors to do, has it done, and says what came of it. A command is carried out once, and never
 * after its time; all doors of an answer are told at once, and none waits for what comes of another.
 */
export const followCommands = ({ api, doors, site, link, log }: Parts): { stop(): void } => {
  const stopping = new AbortController()
  const { signal } = stopping
  const outcomes = outcomesTo(api, link, log, signal)
  const known = new Map<string, number>()
  let told = site.version()

  const isNew = ({ id }: Command): boolean => {
    const now = performance.now()
    for (const [old, at] of known) {
      if (now - at < KNOW_FOR_MS) break
      known.delete(old)
    }
    if (known.has(id)) return false
    known.set(id, now)
    return true
  }

  /** Until when it is good, on this process's clock. */
  const endOf = ({ expiresAt }: Command) => performance.now() + Date.parse(expiresAt) - api.clock.now().getTime()

  /**
   * What doors are to be like from now on is said by the site: a bridge that has not seen it cannot say that it is so, nor open
   * a door that may be locked down since.
   */
  const siteSeen = async (until: number): Promise<boolean> => {
    while (!signal.aborted && performance.now() < until) {
      if (await site.look()) return true
      await pause(LOOK_AGAIN_MS)
    }
    return false
  }

  /** `seen`: the site is here as it was when the command was given. */
  const carryOut = async (command: Command, seen: boolean): Promise<Done> => {
    const { id, action } = command
    const door = refOf(command)
    const until = endOf(command)
    if (!door) return { state: 'refused', detail: 'unknown_door' }
    if (until <= performance.now()) return { state: 'refused', detail: 'expired' }
    if (!(action === 'open' && seen) && !(await siteSeen(until))) return { state: 'refused', detail: 'expired' }
    if (action === 'open') return doors.open(door, until, { by: 'command', commandId: id })
    return doors.settle(door, action)
  }

  const take = (command: Command, seen: boolean): void => {
    const { id, action } = command
    if (!isNew(command)) {
      log('warn', 'command_again', { command: id })
      return
    }
    carryOut(command, seen).then(
      ({ state, detail }) => {
        log('info', 'command', { command: id, action, state, detail })
        outcomes.add({ id, state, detail })
      },
      // Nobody knows what came of it, and that is what the API says of a command of which it hears nothing.
      (error: unknown) => log('error', 'command_failed', { command: id, action, error: nameOf(error) }),
    )
  }

  const follow = async () => {
    // Commands are dated on the API's clock, which nobody knows here before it has said something.
    while (!(await site.look())) await rest(signal)
    while (!signal.aborted) {
      const answer = await askForCommands(api, told, MOST_WAIT_MS, signal).catch((error: unknown) => {
        if (!signal.aborted) link.failedAside(error)
        log('debug', 'no_commands', { error: nameOf(error) })
      })
      if (signal.aborted) return
      if (!answer) {
        await rest(signal)
        continue
      }
      link.up()
      for (const command of answer.commands) take(command, answer.version === site.version())
      // Not asked again with what the site is here: where it cannot be looked at, each question would be answered at once.
      told = answer.version
      if (told !== site.version()) void site.look()
    }
  }
  follow().catch((error: unknown) => {
    if (!signal.aborted) log('error', 'commands_not_followed', { error: nameOf(error) })
  })

  return { stop: () => stopping.abort() }
}

const refOf = ({ doorId, readerId }: Command): DoorRef | undefined => {
  if (doorId !== null) return { doorId }
  return readerId === null ? undefined : { readerId }
}

const rest = (signal: AbortSignal) => pause(REST_MS * (1 + Math.random()), undefined, { signal })

type Waiting = { outcome: Outcome; since: number }

/** Says what became of commands: what comes while the API is being told goes with the next message. */
const outcomesTo = (api: Api, link: Parts['link'], log: Log, signal: AbortSignal) => {
  let waiting: Waiting[] = []
  let telling = false

  const tell = async (batch: Waiting[]): Promise<Waiting[]> => {
    const said = batch.map(({ outcome }) => outcome)
    try {
      await reportOutcomes(api, said)
      link.up()
      return []
    } catch (error) {
      link.failedAside(error)
      // It has something against the message itself, or against the bridge.
      const status = error instanceof Refused ? error.status : 0
      const hopeless = status >= 400 && status < 500 && status !== 408 && status !== 429
      const lost = batch.filter(({ since }) => hopeless || performance.now() - since > TELL_FOR_MS)
      const commands = lost.map(({ outcome }) => outcome.id)
      if (lost.length > 0) log('warn', 'outcomes_lost', { commands, error: nameOf(error) })
      return batch.filter((one) => !lost.includes(one))
    }
  }

  const tellAll = async () => {
    while (waiting.length > 0 && !signal.aborted) {
      const batch = waiting.slice(0, MOST_COMMANDS)
      waiting = waiting.slice(MOST_COMMANDS)
      const left = await tell(batch)
      waiting = [...left, ...waiting]
      if (left.length > 0) await rest(signal).catch(() => {})
    }
    telling = false
  }

  return {
    add(outcome: Outcome) {
      waiting.push({ outcome, since: performance.now() })
      if (telling) return
      telling = true
      // What is known of other doors at the same moment goes with it.
      setImmediate(() => void tellAll())
    },
  }
}
