import { setTimeout as sleep } from 'node:timers/promises'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

type Name = 'api' | 'bridge' | 'postgres' | 'mosquitto'

const restart = async (world: World, name: Name, signal: NodeJS.Signals) => {
  await world[name].end(signal)
  world[name].launch()
}

const frozen = (name: Name, seconds: number): Fault => ({
  name: `${name}-freeze-${seconds}`,
  does: `SIGSTOP to ${name} and all it has started`,
  mended: `SIGCONT after ${seconds} s`,
  seconds,
  redelivers: name === 'bridge' || name === 'mosquitto',
  offline: seconds > 4 && (name === 'api' || name === 'postgres'),
  quick: seconds === 5 && name === 'bridge',
  begin: (world) => world[name].freeze(),
  mend: (world) => world[name].thaw(),
})

const stopped = (name: Name, seconds: number, more: Partial<Fault>): Fault => ({
  name: `${name}-stop`,
  does: `SIGTERM to ${name}`,
  mended: `started again ${seconds} s after it has ended`,
  seconds,
  begin: (world) => world[name].end('SIGTERM'),
  mend: (world) => world[name].launch(),
  ...more,
})

const killed = (name: 'api' | 'bridge', more: Partial<Fault>): Fault => ({
  name: `${name}-kill`,
  does: `SIGKILL to ${name}`,
  mended: 'started again at once',
  seconds: 1,
  quick: true,
  begin: (world) => restart(world, name, 'SIGKILL'),
  mend: () => {},
  ...more,
})

export const processFaults: Fault[] = [
  killed('api', {}),
  killed('bridge', { redelivers: true }),
  {
    name: 'both-kill',
    does: 'SIGKILL to bridge and API in one moment',
    mended: 'started again at once',
    seconds: 1,
    redelivers: true,
    begin: (world) => Promise.all([restart(world, 'bridge', 'SIGKILL'), restart(world, 'api', 'SIGKILL')]),
    mend: () => {},
  },
  {
    name: 'bridge-kill-thrice',
    does: 'SIGKILL to the bridge, three times, half a second after it was up again',
    mended: 'started again at once each time',
    seconds: 1,
    redelivers: true,
    async begin(world) {
      for (let n = 0; n < 3; n++) {
        await restart(world, 'bridge', 'SIGKILL')
        await world.bridge.ready()
        await sleep(500)
      }
    },
    mend: () => {},
  },
  {
    name: 'bridge-kill-offline',
    does: 'the link bridge–API is cut, then SIGKILL to the bridge, which starts again with nothing but what it has on disk',
    mended: 'the link is put back 10 s later',
    seconds: 10,
    redelivers: true,
    offline: true,
    async begin(world) {
      world.toApi.cut()
      await sleep(3_000)
      await restart(world, 'bridge', 'SIGKILL')
    },
    mend: (world) => world.toApi.mend(),
  },
  stopped('bridge', 8, { redelivers: true }),
  stopped('api', 8, { offline: true }),
  stopped('mosquitto', 6, { redelivers: true }),
  {
    name: 'mosquitto-restart',
    does: 'SIGTERM to Mosquitto, which keeps its sessions on disk; readers publish again what had no PUBACK',
    mended: 'started again at once',
    seconds: 1,
    redelivers: true,
    quick: true,
    begin: (world) => restart(world, 'mosquitto', 'SIGTERM'),
    mend: () => {},
  },
  ...(['api', 'bridge', 'postgres', 'mosquitto'] as const).flatMap((name) => [1, 5, 20].map((s) => frozen(name, s))),
]
