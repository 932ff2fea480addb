import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { runToEnd } from '../bench/processes.ts'

export type Disk = { fill(): void; free(): void; unmount(): Promise<unknown> }

/** Mounts a small disk of its own on a folder; undefined where that is not allowed. */
export const smallDisk = async (folder: string): Promise<Disk | undefined> => {
  try {
    await runToEnd('mount', 'mount', ['-t', 'tmpfs', '-o', 'size=64m', 'chaos', folder])
  } catch {
    return undefined
  }
  const ballast = join(folder, 'ballast')
  return {
    /** To the last byte. */
    fill() {
      const file = openSync(ballast, 'w')
      const block = Buffer.alloc(64 * 1024)
      try {
        for (let size = block.length; size > 0; ) {
          try {
            writeSync(file, block, 0, size)
          } catch {
            size >>= 1
          }
        }
      } finally {
        closeSync(file)
      }
    },
    free: () => rmSync(ballast, { force: true }),
    unmount: () => runToEnd('umount', 'umount', ['--lazy', folder]),
  }
}
