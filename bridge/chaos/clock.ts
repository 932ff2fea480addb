import { readFileSync } from 'node:fs'

// Loaded before the bridge (`--import`): its wall clock is off by as many milliseconds as a file says, as if somebody had
// set the machine's time. The monotonic clock goes on as it does on such a machine, and so do timers.

const file = process.env['CHAOS_CLOCK'] ?? ''
const RealDate = Date
let offset = 0

const look = () => {
  try {
    offset = Number(readFileSync(file, 'utf8')) || 0
  } catch {
    offset = 0
  }
}
look()
setInterval(look, 50).unref()

const now = () => RealDate.now() + offset
globalThis.Date = new Proxy(RealDate, {
  construct: (real, args, self) => Reflect.construct(real, args.length === 0 ? [now()] : args, self),
  get: (real, key) => (key === 'now' ? now : Reflect.get(real, key)),
})
