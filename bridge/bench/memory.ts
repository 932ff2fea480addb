import { readFileSync } from 'node:fs'

const EVERY_MS = 100

/** Looks at processes while they work; `most` is the highest resident memory seen of each, in MiB, in order. */
export const watchMemory = (pids: number[]): { stop(): void; most(): (number | undefined)[] } => {
  const most = new Map<number, number>()
  const look = () => {
    for (const pid of pids) {
      const now = residentMiB(pid)
      if (now !== undefined) most.set(pid, Math.max(now, most.get(pid) ?? 0))
    }
  }
  const timer = setInterval(look, EVERY_MS)
  return { stop: () => clearInterval(timer), most: () => pids.map((pid) => most.get(pid)) }
}

/** Undefined on a machine that has no /proc. */
export const residentMiB = (pid: number): number | undefined => {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kib === undefined ? undefined : Number(kib) / 1024
  } catch {
    return undefined
  }
}

/** Processor time a process has used so far, in milliseconds; `/proc` counts in hundredths of a second. */
export const cpuMs = (pid: number): number | undefined => {
  try {
    // The name of the program, in brackets, may have spaces in it.
    const [, , ...fields] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/\(.*\)/, '()')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return undefined
  }
}
