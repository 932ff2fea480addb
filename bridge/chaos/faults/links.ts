import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

type Link = 'toBroker' | 'toApi' | 'toDatabase'
const NAMES: Record<Link, string> = {
  toBroker: 'bridge-broker',
  toApi: 'bridge-api',
  toDatabase: 'api-database',
}

const linkFaults = (link: Link): Fault[] => {
  const mend = (world: World) => world[link].mend()
  const base = { mend, redelivers: link === 'toBroker' }
  const slow = (ms: number): Fault => ({
    ...base,
    name: `${NAMES[link]}-slow-${ms}`,
    does: `every byte between ${NAMES[link].replace('-', ' and ')} takes ${ms} ms longer, each way`,
    mended: 'as fast as ever 8 s later',
    seconds: 8,
    begin: (world) => world[link].slow(ms),
  })
  const stalled = (seconds: number): Fault => ({
    ...base,
    name: `${NAMES[link]}-stall-${seconds}`,
    does: `nothing gets through between ${NAMES[link].replace('-', ' and ')}, and nobody is told`,
    mended: `it flows again after ${seconds} s, with all that waited`,
    seconds,
    offline: seconds > 4 && link !== 'toBroker',
    begin: (world) => world[link].stall(),
  })
  return [
    slow(200),
    slow(1_500),
    slow(3_000),
    stalled(3),
    stalled(30),
    {
      ...base,
      name: `${NAMES[link]}-cut`,
      does: `all connections between ${NAMES[link].replace('-', ' and ')} end, and new ones are refused`,
      mended: 'connections are taken again 5 s later',
      seconds: 5,
      offline: link !== 'toBroker',
      quick: true,
      begin: (world) => world[link].cut(),
    },
    {
      ...base,
      name: `${NAMES[link]}-cut-in-message`,
      does: `one in 30 messages between ${NAMES[link].replace('-', ' and ')} ends half-way, and its connection with it`,
      mended: 'no more after 6 s',
      seconds: 6,
      begin: (world) => world[link].cutMidMessage(30),
    },
  ]
}

export const allLinkFaults: Fault[] = (['toBroker', 'toApi', 'toDatabase'] as const).flatMap(linkFaults)
