import { setTimeout as sleep } from 'node:timers/promises'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

const HOUR = 3_600_000

const jump = (name: string, offset: number, what: string): Fault => ({
  name: `clock-${name}`,
  does: `the bridge’s wall clock jumps ${what}`,
  mended: 'set right 6 s later',
  seconds: 6,
  begin: (world) => world.setClock(offset),
  mend: (world) => world.setClock(0),
})

const startWith = (name: string, offset: number, what: string): Fault => ({
  name: `clock-${name}`,
  does: `the bridge is killed and starts with a wall clock ${what}`,
  mended: 'the clock is set right 6 s later, and the bridge is not told',
  seconds: 6,
  redelivers: true,
  async begin(world) {
    world.setClock(offset)
    await restartBridge(world)
  },
  mend: (world) => world.setClock(0),
})

const restartBridge = async ({ bridge }: World) => {
  await bridge.end('SIGKILL')
  bridge.launch()
}

const fullDisk = (name: string, does: string, more?: (world: World) => Promise<void>): Fault => ({
  name,
  does,
  mended: 'the link is put back 6 s later, and there is room again 2 s after that',
  seconds: 6,
  redelivers: true,
  hindered: ({ disk }) => (disk ? undefined : 'no small disk could be mounted here'),
  async begin(world) {
    world.disk?.fill()
    world.toApi.cut()
    await more?.(world)
  },
  async mend(world) {
    world.toApi.mend()
    await sleep(2_000)
    world.disk?.free()
  },
})

export const machineFaults: Fault[] = [
  jump('forward', HOUR, 'an hour ahead'),
  jump('back', -HOUR, 'an hour back'),
  startWith('slow-start', -20_000, 'that is 20 s slow'),
  startWith('fast-start', 20_000, 'that is 20 s fast'),
  startWith('boot', Date.UTC(2001, 0, 1) - Date.now(), 'that stands at the year 2001, as on a board without a battery'),
  fullDisk('disk-full', 'the bridge’s DATA_DIR is full, and the link bridge–API is cut'),
  fullDisk('disk-full-kill', 'the same, and the bridge is killed and started', restartBridge),
]
