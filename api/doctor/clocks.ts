import { type Heard, header } from './ask.ts'
import { fault, type Line, ok, unseen, warning } from './line.ts'

/** From here on a clock is wrong, and from there on seals are refused as too early (contract/envelope.ts). Milliseconds. */
const WARN_MS = 1_000
const FAULT_MS = 5_000

/** How far another clock is from this one: somewhere between, in milliseconds; positive is ahead. */
export type Offset = { least: number; most: number }

/** A Date header is of whole seconds, and was written between question and answer: each narrows down where the clock is. */
export const offsetIn = (heard: readonly Pick<Heard, 'headers' | 'asked' | 'answered'>[]): Offset | undefined => {
  const each = heard.flatMap(({ headers, asked, answered }) => {
    const date = Date.parse(header({ headers }, 'date') ?? '')
    return Number.isNaN(date) ? [] : [{ least: date - answered, most: date + 1_000 - asked }]
  })
  if (each.length === 0) return undefined
  const least = Math.max(...each.map((one) => one.least))
  const most = Math.min(...each.map((one) => one.most))
  // The clock was set in between, or two nodes answered that disagree.
  return least <= most ? { least, most } : { least: Math.min(least, most), most: Math.max(least, most) }
}

/** The least by which they differ for sure. */
const apart = ({ least, most }: Offset): number => (least > 0 ? least : most < 0 ? -most : 0)

/** `whose` clock against `whom`: "The API’s clock", "this machine’s". */
export const clock = (
  check: string,
  whose: string,
  against: string,
  offset: Offset | undefined,
  mend: string,
): Line => {
  if (!offset) return unseen(check, `${whose} is not known.`, mend)
  const ms = apart(offset)
  const why = `${whose} and ${against} are ${(ms / 1000).toFixed(1)} s apart${ms === 0 ? ' or less than can be told' : ' or more'}.`
  if (ms > FAULT_MS) return fault(check, why, 'timedatectl set-ntp true, on both machines')
  return ms > WARN_MS ? warning(check, why, 'timedatectl set-ntp true, on both machines') : ok(check, why)
}
