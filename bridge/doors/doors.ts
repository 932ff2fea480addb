import { v7 } from 'uuid'
import type { Action, Detail } from '../../api/contract/commands.ts'
import type { SiteDoor, SiteReader } from '../../api/contract/site.ts'
import type { Api } from '../ask.ts'
import { knownDoor } from '../door-profiles/door-profiles.ts'
import { type Log, nameOf } from '../log.ts'
import { type By, type DoorRef, keyOf, type NewsBoard } from '../news.ts'
import { type Came, hear, type Listened, topicsOf } from '../profiles/hear.ts'
import type { Message } from '../profiles/profile.ts'
import { messagesOf, openingVars } from '../profiles/tell.ts'

/** What came of an order to a door. */
export type Done = { state: 'delivered' | 'refused'; detail: Detail }

export type Doors = {
  /** The doors and readers in force from now on; gives every topic on which a door is heard. */
  use(doors: readonly SiteDoor[], readers: readonly SiteReader[]): string[]
  /** A message of the broker's that may be from a door; true when it was one's. */
  hear(came: Came): boolean
  /** Opens a door once. Nothing is published after `until` (on this process's clock); it resolves when it is known what came of it. */
  open(door: DoorRef, until: number, by: By): Promise<Done>
  /** Resolves when a door is as it was ordered to be, which the site says already. */
  settle(door: DoorRef, action: Exclude<Action, 'open'>): Promise<Done>
  stop(): void
}

type Parts = {
  api: Pick<Api, 'clock'>
  publish(message: Message, lifeMs?: number): Promise<void>
  news: NewsBoard
  log: Log
}

export const doorsOn = ({ api, publish, news, log }: Parts): Doors => {
  let known = new Map<string, { door: SiteDoor; listened: Listened }>()
  let byTopic = new Map<string, { door: SiteDoor; listened: Listened }[]>()

  return {
    use(doors) {
      known = new Map(
        doors.flatMap((door) => {
          const listened = knownDoor(door.profile, door.settings)
          if (!listened) log('warn', 'unknown_profile', { door: door.id })
          return listened ? [[door.id, { door, listened }] as const] : []
        }),
      )
      byTopic = new Map()
      for (const one of known.values()) {
        for (const topic of topicsOf(one.listened)) byTopic.set(topic, [...(byTopic.get(topic) ?? []), one])
      }
      return [...byTopic.keys()]
    },
    hear(came) {
      const listeners = byTopic.get(came.topic) ?? []
      for (const { door, listened } of listeners) {
        const heard = hear(listened, came, api.clock.now())
        if ('dropped' in heard) continue
        for (const state of heard) {
          if (state.is === 'scan' || state.is === 'pin' || state.is === 'record' || state.is === 'ignore') continue
          news.tell({ is: 'said', siteDoor: door, state })
        }
      }
      return listeners.length > 0
    },
    async open(ref, until, by) {
      const one = known.get(keyOf(ref))
      if (!one) return { state: 'refused', detail: 'unknown_door' }
      const now = api.clock.now()
      const left = until - performance.now()
      if (left <= 0) return { state: 'refused', detail: 'expired' }
      const { openMs } = one.door
      const told = openingVars(openMs, now, new Date(now.getTime() + left))
      const messages = messagesOf(one.listened.profile.grant, { ...one.listened.vars, ...told, id: v7() })
      if (messages.length === 0) return { state: 'refused', detail: 'not_possible' }
      try {
        for (const message of messages) await publish(message, until - performance.now())
      } catch (error) {
        log('warn', 'door_not_told', { door: keyOf(ref), error: nameOf(error) })
        return { state: 'refused', detail: 'broker_away' }
      }
      news.tell({ is: 'opening', door: ref, forMs: openMs, by })
      return { state: 'delivered', detail: 'sent' }
    },
    settle: async () => ({ state: 'refused', detail: 'not_possible' }),
    stop() {},
  }
}
