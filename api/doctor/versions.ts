import * as v from 'valibot'
import { fault, type Line, ok, unseen, warning } from './line.ts'

/** When a line of Node gets no more fixes (nodejs.org/en/about/previous-releases). */
const END: Record<number, string> = { 20: '2026-04-30', 22: '2027-04-30', 24: '2028-04-30' }

export const node = (version: string, now: Date): Line => {
  const major = Number(/^v?(\d+)/.exec(version)?.[1])
  if (!(major >= 20)) return fault('node', `Node ${version} is too old.`, 'Node 24')
  const end = END[major]
  // Odd ones live for half a year; of those to come nobody knows yet.
  if (major % 2 === 1 || (end !== undefined && now >= new Date(end)))
    return warning('node', `Node ${version} gets no fixes any more.`, 'Node 24')
  return ok('node', `Node ${version}.`)
}

const Audit = v.object({
  metadata: v.object({
    vulnerabilities: v.object({
      low: v.number(),
      moderate: v.number(),
      high: v.number(),
      critical: v.number(),
    }),
  }),
})

/** What `npm audit --omit=dev --json` printed; undefined where it could not run. */
export const dependencies = (printed: string | undefined): Line => {
  const check = 'dependencies'
  const mend = 'npm audit --omit=dev, on a machine that reaches a registry'
  const found = v.safeParse(Audit, parsed(printed))
  if (!found.success) return unseen(check, 'no registry that knows of holes was reached.', mend)
  const { low, moderate, high, critical } = found.output.metadata.vulnerabilities
  const some = low + moderate + high + critical
  if (some === 0) return ok(check, 'No hole is known in what is installed.')
  const why = `${some} holes are known in what is installed, ${high + critical} of them grave.`
  return high + critical > 0
    ? fault(check, why, 'npm audit fix, or a newer Lintel')
    : warning(check, why, 'npm audit fix')
}

const parsed = (text: string | undefined): unknown => {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}
