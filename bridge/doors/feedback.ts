import { type By, type DoorRef, keyOf, type NewsBoard } from '../news.ts'
import type { Heard } from '../profiles/profile.ts'

/** A device that says what it did says so within this time. Milliseconds. */
const FEEDBACK_MS = 1_000

export type Answer = 'opened' | 'refused' | 'no_answer'

type Waiting = { id: number; end(answer: Answer): void }

/** Follows what devices say of what they were told. */
export const feedbackTo = (news: NewsBoard) => {
  const waiting = new Map<string, Waiting[]>()

  return {
    /** From now on what is said of it counts. `went` when it went out: then the time begins; else nothing came of it. */
    expect(door: DoorRef, id: number, by: By) {
      const key = keyOf(door)
      let end: (answer: Answer) => void = () => {}
      const answer = new Promise<Answer>((resolve) => {
        end = resolve
      })
      const mine = { id, end: (said: Answer) => end(said) }
      waiting.set(key, [...(waiting.get(key) ?? []), mine])
      const leave = () => {
        const others = (waiting.get(key) ?? []).filter((one) => one !== mine)
        if (others.length > 0) waiting.set(key, others)
        else waiting.delete(key)
      }
      return {
        async went(): Promise<Answer> {
          const timer = setTimeout(() => end('no_answer'), FEEDBACK_MS).unref()
          const said = await answer
          clearTimeout(timer)
          leave()
          news.tell({ is: said, door, by })
          return said
        },
        leave,
      }
    },
    /** A device said something: what names an opening is about that one, all else about every one that waits. */
    heard(door: DoorRef, { feedback, vars }: Pick<Heard, 'feedback' | 'vars'>) {
      if (feedback === undefined) return
      const { id } = vars
      for (const one of waiting.get(keyOf(door)) ?? []) {
        if (id === undefined || String(id) === String(one.id)) one.end(feedback === 'done' ? 'opened' : 'refused')
      }
    },
    stop() {
      for (const one of [...waiting.values()].flat()) one.end('no_answer')
    },
  }
}
