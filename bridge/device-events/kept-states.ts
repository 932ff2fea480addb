import { join } from 'node:path'
import * as v from 'valibot'
import { DOOR_MODES } from '../../api/contract/door-mode.ts'
import type { SealingKey } from '../../api/contract/envelope.ts'
import { type Log, nameOf } from '../log.ts'
import { sealedFile } from '../sealed-file.ts'

const Door = v.object({ open: v.optional(v.boolean()), meant: v.boolean(), forced: v.boolean(), held: v.boolean() })

const Kept = v.object({
  doors: v.record(v.string(), Door),
  modes: v.record(v.string(), v.picklist(DOOR_MODES)),
  tampered: v.record(v.string(), v.boolean()),
  online: v.record(v.string(), v.boolean()),
})
type Kept = v.InferOutput<typeof Kept>

/** Changes that come together are written together. Milliseconds. */
const WRITE_MS = 1_000

/**
 * How things were when they were last told, on disk: so that a start tells what has changed meanwhile, and nothing twice.
 * Should it be gone, everything is told once more, which is harmless.
 */
export const keptStates = async (folder: string, key: SealingKey, log: Log) => {
  const file = sealedFile(join(folder, 'device-states'), key, 'device states')
  const bytes = await file.read().catch(() => undefined)
  const read = bytes && v.safeParse(Kept, JSON.parse(bytes.toString()))
  const known: Kept = read?.success ? read.output : { doors: {}, modes: {}, tampered: {}, online: {} }
  const states = {
    doors: new Map(Object.entries(known.doors)),
    modes: new Map(Object.entries(known.modes)),
    tampered: new Map(Object.entries(known.tampered)),
    online: new Map(Object.entries(known.online)),
  }
  let timer: NodeJS.Timeout | undefined

  const write = async () => {
    clearTimeout(timer)
    timer = undefined
    const all = Object.fromEntries(Object.entries(states).map(([name, map]) => [name, Object.fromEntries(map)]))
    await file
      .write(Buffer.from(JSON.stringify(all)))
      .catch((error: unknown) => log('warn', 'device_states_not_kept', { error: nameOf(error) }))
  }
  const soon = () => {
    timer ??= setTimeout(() => void write(), WRITE_MS)
  }

  return {
    ...states,
    note<What extends keyof Kept>(what: What, key: string, state: Kept[What][string]) {
      const map: Map<string, Kept[What][string]> = states[what] as never
      map.set(key, state)
      soon()
    },
    /** What is no more is forgotten. */
    keepOnly(there: ReadonlyMap<string, unknown>) {
      for (const map of Object.values(states)) {
        for (const key of [...map.keys()].filter((key) => !there.has(key))) if (map.delete(key)) soon()
      }
    },
    async close() {
      if (timer !== undefined) await write()
    },
  }
}
