import { setTimeout as sleep } from 'node:timers/promises'
import type { Lie } from '../liar.ts'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

const SAYS: Record<Exclude<Lie, 'replay-record'>, string> = {
  error: 'answers 500 to everything',
  garbage: 'answers with garbage',
  'hang-up': 'hangs up without an answer',
  stranger: 'answers “granted” to everything, under the seal of another bridge',
  replay: 'answers every scan with the sealed “granted” that it gave to another one',
}

const lieTo = ({ liar, toApi }: World, lie: Lie) => {
  liar.tell(lie)
  toApi.lead(liar.port)
}

const told = (lie: keyof typeof SAYS): Fault => ({
  name: `api-${lie}`,
  does: `somebody in the API’s place ${SAYS[lie]}`,
  mended: 'the bridge is led to the API again 6 s later',
  seconds: 6,
  offline: true,
  begin: (world) => lieTo(world, lie),
  mend: ({ toApi }) => toApi.mend(),
})

export const lies: Fault[] = [
  ...(Object.keys(SAYS) as (keyof typeof SAYS)[]).map(told),
  {
    name: 'api-replay-record',
    does: 'after 4 s without the API, somebody passes everything on, but answers hand-overs with the first one’s sealed receipt',
    mended: 'the bridge is led to the API again 6 s later',
    seconds: 6,
    offline: true,
    async begin(world) {
      world.toApi.cut()
      await sleep(4_000)
      world.toApi.mend()
      lieTo(world, 'replay-record')
    },
    mend: ({ toApi }) => toApi.mend(),
  },
]
