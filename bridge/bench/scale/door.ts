import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { sealingKey } from '../../../api/contract/envelope.ts'
import { askAboutScan } from '../../ask.ts'
import { apiClock } from '../../clock.ts'
import type { Api } from '../contenders.ts'
import { FIRST_CARD } from '../load.ts'
import { percentile } from '../report.ts'
import { idOf } from '../seed.ts'

/** As long as a bridge waits before it decides by itself. Milliseconds. */
const DEADLINE_MS = 2_000

export type Waits = { p50: number; p99: number; most: number; scans: number; refused: number }

/**
 * So many scans a second, as bridges ask, for as long as `work` takes, whether answers come or not. A scan's wait counts from
 * when it was due: who queues behind a slow one waits too. Milliseconds.
 */
export const scansDuring = async <T>(
  { url, bridge }: Api,
  { cards, readers }: { cards: number; readers: number },
  perSecond: number,
  work: () => Promise<T>,
): Promise<{ waits: Waits; result: T }> => {
  const api = { url, id: bridge.id, key: sealingKey(Buffer.from(bridge.key, 'base64url')), clock: apiClock() }
  const waits: number[] = []
  let refused = 0
  const scan = async (n: number, due: number) => {
    const card = String(FIRST_CARD + ((n * 7_919) % cards))
    const asked = { id: randomUUID(), readerId: idOf('reader', n % readers), card, at: api.clock.now().toISOString() }
    const answer = await askAboutScan(api, asked, DEADLINE_MS).catch(() => undefined)
    if (answer?.reason !== 'granted') refused += 1
    waits.push(performance.now() - due)
  }
  let over = false
  const loop = async () => {
    const began = performance.now()
    const under: Promise<void>[] = []
    for (let n = 0; !over; ) {
      for (let due = began + (n * 1_000) / perSecond; due <= performance.now(); due = began + (n * 1_000) / perSecond) {
        under.push(scan(n, due))
        n += 1
      }
      await pause(1)
    }
    await Promise.all(under)
  }
  const scanning = loop()
  const result = await work().finally(() => {
    over = true
  })
  await scanning
  const sorted = Float64Array.from(waits).sort()
  const [p50, p99] = [percentile(sorted, 0.5), percentile(sorted, 0.99)]
  return { waits: { p50, p99, most: sorted.at(-1) ?? Number.NaN, scans: sorted.length, refused }, result }
}
