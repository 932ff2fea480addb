import type { DoorMode } from '../api/contract/door-mode.ts'
import type { Decision, Reason } from '../api/contract/scan.ts'
import type { SiteDoor, SiteReader } from '../api/contract/site.ts'
import type { State } from './bridge.ts'
import { type Log, nameOf } from './log.ts'

/** A door of its own, or the one of a reader that opens by its own answer. */
export type DoorRef = { doorId: string } | { readerId: string }

/** By this a door is known among all of them: its own id, or its reader's. */
export const keyOf = (door: DoorRef): string => ('doorId' in door ? door.doorId : door.readerId)

/** What a reader opens. */
export const doorOf = ({ id, doorId }: Pick<SiteReader, 'id' | 'doorId'>): DoorRef =>
  doorId === null ? { readerId: id } : { doorId }

/** Who had a door opened. */
export type By = { by: 'scan'; scanId: string } | { by: 'command'; commandId: string } | { by: 'home_assistant' }

/** What parts of a bridge let each other know. */
export type News =
  /** What opens this door went out, for so many milliseconds. */
  | { is: 'opening'; door: DoorRef; forMs: number; by: By }
  /** What came of it: the device said so, said no, or should have said so and did not. */
  | { is: 'opened' | 'refused' | 'no_answer'; door: DoorRef; by: By }
  /** A door is in another mode than before; also said at the start. */
  | { is: 'mode'; door: DoorRef; mode: DoorMode }
  /** A device said something of itself: a reader's, or a door's. */
  | { is: 'said'; reader: SiteReader; state: State }
  | { is: 'said'; siteDoor: SiteDoor; state: State }
  /** A reader said a card or a PIN just now; `letIn`: it has opened its door by itself. */
  | { is: 'scanned'; reader: SiteReader; letIn: boolean }
  /** A scan was decided. */
  | { is: 'decided'; reader: SiteReader; decision: Decision; reason: Reason }
  /** The site is another one: what there is of it now. */
  | { is: 'site'; readers: readonly SiteReader[]; doors: readonly SiteDoor[] }
  /** The connection to the broker ended, or is there again. */
  | { is: 'broker'; connected: boolean }

export type NewsBoard = { tell(news: News): void; listen(to: (news: News) => void): void }

/** Everybody hears everything, at once and in the order in which they began to listen; who fails at it fails alone. */
export const newsBoard = (log: Log): NewsBoard => {
  const listeners: ((news: News) => void)[] = []
  return {
    tell(news) {
      for (const hear of listeners) {
        try {
          hear(news)
        } catch (error) {
          log('error', 'news_not_heard', { news: news.is, error: nameOf(error) })
        }
      }
    },
    listen(to) {
      listeners.push(to)
    },
  }
}
