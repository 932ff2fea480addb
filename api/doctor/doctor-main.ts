import { parseArgs } from 'node:util'
import { messageOf } from '../cause.ts'
import { environment, SetupError } from '../contract/environment.ts'
import { examine, type Options } from './doctor.ts'
import type { Line } from './line.ts'

// `npm run doctor`: is this installation set up safely? It reads the environment of the API, and of a bridge where that is
// set too, and asks what runs. Exits with 0 when there is no fault, with 1 when there is one, and with 2 when it could not look.

const USAGE = 'npm run doctor -- [--json] [--http-port PORT] [--mqtt-port PORT] [--acl DIR] [--caching]'

const options = (): Options & { json: boolean } => {
  try {
    const { values } = parseArgs({
      options: {
        json: { type: 'boolean', default: false },
        'http-port': { type: 'string' },
        'mqtt-port': { type: 'string' },
        acl: { type: 'string' },
        caching: { type: 'boolean', default: false },
      },
    })
    const port = (text: string | undefined) => {
      if (text !== undefined && !/^\d{1,5}$/.test(text)) throw new Error('no port')
      return text === undefined ? undefined : Number(text)
    }
    const { json, acl, caching } = values
    return { json, acl, caching, httpPort: port(values['http-port']), mqttPort: port(values['mqtt-port']) }
  } catch {
    throw new SetupError(`Not understood. ${USAGE}`)
  }
}

const MARKS: Record<Line['state'], string> = { ok: 'ok     ', warning: 'warning', fault: 'FAULT  ' }

const sentence = ({ check, state, why, mend }: Line): string =>
  `${MARKS[state]}  ${check.padEnd(22)}  ${why}${mend === undefined ? '' : `\n${' '.repeat(33)}→ ${mend}`}`

const summary = (lines: readonly Line[]): string => {
  const count = (state: Line['state']) => lines.filter((line) => line.state === state).length
  return `${lines.length} checks: ${count('ok')} ok, ${count('warning')} warnings, ${count('fault')} faults.`
}

try {
  const { json, ...how } = options()
  const lines = await examine(environment(), process.cwd(), how)
  if (!lines) throw new SetupError('Neither the API nor the database answers: start them, or see that .env is theirs.')
  const isOk = lines.every(({ state }) => state !== 'fault')
  console.log(json ? JSON.stringify({ ok: isOk, lines }) : [...lines.map(sentence), '', summary(lines)].join('\n'))
  process.exit(isOk ? 0 : 1)
} catch (error) {
  const why = messageOf(error, String(error))
  console.error(error instanceof SetupError ? error.message : `The doctor could not look: ${why}`)
  process.exit(2)
}
