import type { World } from '../world.ts'

/** Something that goes wrong, and how it is put right. */
export type Fault = {
  name: string
  does: string
  mended: string
  /** How long it lasts once it has begun. */
  seconds: number
  begin(world: World): unknown
  mend(world: World): unknown
  /** The broker may deliver a scan again afterwards: its connection to the bridge, or one of the two, was lost. */
  redelivers?: boolean
  /** Some doors have to open meanwhile by the bridge's own decision. */
  offline?: boolean
  /** Short enough for `--quick`. */
  quick?: boolean
  /** Why it cannot be run here, if it cannot. */
  hindered?(world: World): string | undefined
}
