import type { Answer } from '../../api/contract/scan.ts'
import type { SiteReader } from '../../api/contract/site.ts'

/** Why a message was not a scan. Public words: they are counted by them. */
export type Dropped = 'retained' | 'removal' | 'foreign_topic' | 'not_text' | 'not_a_card'

export type Read = { card: string } | { dropped: Dropped }
export type Message = { topic: string; payload: string }

/** What a kind of reader says and wants to hear. */
export type Profile = {
  read(payload: Buffer, reader: SiteReader): Read
  /** What to publish for an answer; nothing when the reader has no topic for answers. */
  reply(answer: Pick<Answer, 'decision'>, reader: SiteReader): Message | undefined
}
