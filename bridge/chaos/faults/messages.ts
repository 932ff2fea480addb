import { setTimeout as sleep } from 'node:timers/promises'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

/** None of these is a scan, in the view of a decimal reader. */
const GARBAGE: (string | Buffer)[] = [
  '',
  '0',
  '0000',
  '00:00:00:00',
  ' ',
  '-1',
  '1e6',
  '12 apples',
  '{"card":"1000000"}',
  '<card>1000000</card>',
  '\u0000',
  '1000000\u0000',
  '１０００',
  Buffer.from([0xff, 0xfe, 0x00, 0x31]),
  Buffer.alloc(100_000, '7'),
]

const throwGarbage = async ({ fleet, site, random }: World): Promise<void> => {
  const any = <T>(items: T[]): T | undefined => items[Math.floor(random() * items.length)]
  for (let n = 0; n < 100; n++) {
    await fleet.publish(any(site.readers)?.topic ?? '', any(GARBAGE) ?? '', { qos: random() < 0.5 ? 0 : 1 })
    await sleep(40)
  }
}

/** A card that opens everywhere, kept by the broker on a quarter of the scan topics; an empty message takes it away. */
const retain = ({ fleet, site }: World, card: string) =>
  Promise.all(
    site.readers.filter((_, n) => n % 4 === 0).map(({ topic }) => fleet.publish(topic, card, { qos: 1, retain: true })),
  )

let floods = 0

/** Cards that nobody has, none of them twice in a run. */
const flood = ({ fleet, site }: World) => {
  floods += 1
  const cards = Array.from({ length: 5_000 }, (_, n) => String(700_000_000 + floods * 10_000 + n))
  fleet.flood(site.lonely, cards)
}

export const messageFaults: Fault[] = [
  {
    name: 'duplicates',
    does: 'each scan is published twice or thrice within a second',
    mended: 'by itself, after 8 s',
    seconds: 8,
    quick: true,
    begin: ({ fleet }) => fleet.behave('duplicates'),
    mend: async ({ fleet }) => {
      fleet.behave('plain')
      await sleep(1_500)
    },
  },
  {
    name: 'swapped',
    does: 'two readers’ scans change places, again and again',
    mended: 'by itself, after 6 s',
    seconds: 6,
    begin: ({ fleet }) => fleet.behave('swapped'),
    mend: ({ fleet }) => fleet.behave('plain'),
  },
  {
    name: 'flood',
    does: 'one reader goes mad, twice: 5,000 cards that nobody has at once, with QoS 0',
    mended: 'by itself',
    seconds: 4,
    async begin(world) {
      flood(world)
      await sleep(4_000)
      flood(world)
    },
    mend: () => {},
  },
  {
    name: 'garbage',
    does: 'what is no scan is published on the scan topics, 25 times a second',
    mended: 'by itself, after 5 s',
    seconds: 1,
    begin: throwGarbage,
    mend: () => {},
  },
  {
    name: 'retained',
    does: 'good cards are published, retained, on ten scan topics; then the bridge is killed and subscribes anew',
    mended: 'the retained messages are taken away 4 s later',
    seconds: 4,
    redelivers: true,
    async begin(world) {
      await retain(world, world.site.spare[0] ?? '')
      await sleep(1_000)
      await world.bridge.end('SIGKILL')
      world.bridge.launch()
      await world.bridge.ready()
    },
    mend: (world) => retain(world, ''),
  },
]
