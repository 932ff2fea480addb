import { setTimeout as sleep } from 'node:timers/promises'
import { now, type Revocation } from '../ledger.ts'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

/** A card that was blocked while the bridge was linked is known to it by then. Milliseconds. */
const KNOWN_MS = 15_000

const block = async ({ site, revocations }: World, offlineAfter: number): Promise<Revocation> => {
  const used = new Set(revocations.map(({ card }) => card))
  const card = site.spare.find((spare, n) => n > 0 && !used.has(spare))
  if (card === undefined) throw new Error('every spare card is blocked by now')
  await site.block(card)
  const revocation = { card, at: now(), offlineAt: now() + offlineAfter }
  revocations.push(revocation)
  return revocation
}

/** The card at ten readers: the first half or the second of those that go by the snapshot, so never twice at one of them. */
const present = ({ site, fleet }: World, card: string, half: 0 | 1) => {
  const readers = site.readers.filter(({ denies }) => !denies).slice(half * 15, half * 15 + 10)
  return Promise.all(readers.map((reader) => fleet.aim(reader, card)))
}

let blocked: Revocation | undefined

export const rightFaults: Fault[] = [
  {
    name: 'revoke',
    does: 'a card is blocked and presented at ten readers; 16 s later the link bridge–API is cut and it is presented at ten others',
    mended: 'the link is put back 5 s later',
    seconds: 5,
    offline: true,
    async begin(world) {
      const { card } = await block(world, KNOWN_MS)
      await present(world, card, 0)
      await sleep(KNOWN_MS + 1_000)
      world.toApi.cut()
      await sleep(500)
      await present(world, card, 1)
    },
    mend: ({ toApi }) => toApi.mend(),
  },
  {
    name: 'revoke-offline',
    does: 'the link bridge–API is cut, a card is blocked, and presented at ten readers, which cannot know',
    mended: 'the link is put back 3 s later, and the card presented at ten others',
    seconds: 3,
    offline: true,
    async begin(world) {
      world.toApi.cut()
      await sleep(3_000)
      blocked = await block(world, Number.POSITIVE_INFINITY)
      await present(world, blocked.card, 0)
    },
    async mend(world) {
      world.toApi.mend()
      if (!blocked) return
      blocked.offlineAt = now() + KNOWN_MS
      await present(world, blocked.card, 1)
    },
  },
]
