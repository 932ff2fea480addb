import { fault, type Line, ok, some, unseen, warning } from './line.ts'

// What became of the bridges: as the API knows them, and as the one on this machine says of itself.

const AWAY_MS = 60_000

export const bridges = (all: readonly { id: string; lastSeenAt: Date | null }[], now: Date): Line => {
  const mend = 'npm run bridge, and look at its log'
  const away = all.filter(({ lastSeenAt }) => !lastSeenAt || now.getTime() - lastSeenAt.getTime() > AWAY_MS)
  if (all.length === 0) return fault('bridges', 'There is none: no door opens.', 'POST /api/v1/bridges, npm run bridge')
  return away.length === 0
    ? ok('bridges', `${all.length} ask for news.`)
    : fault('bridges', `${away.length} of ${all.length} are away: ${some(away.map(({ id }) => id))}.`, mend)
}

/** Prometheus text: a number by its name; of several with that name, the greatest. */
export const numberIn = (text: string, name: string): number | undefined => {
  const values = text.split('\n').flatMap((line) => {
    const [, value] = line.startsWith(name) ? (/^\w+(?:\{[^}]*\})? (\S+)/.exec(line.trim()) ?? []) : []
    const is = line.slice(name.length)[0]
    return value !== undefined && (is === ' ' || is === '{') ? [Number(value)] : []
  })
  return values.length === 0 ? undefined : Math.max(...values)
}

/** `text` is what /metrics of the bridge says; undefined where it says nothing. */
export const ofItself = (text: string | undefined, set: boolean): Line[] => {
  const names = ['bridge-spool', 'bridge-snapshot', 'bridge-links'] as const
  if (text === undefined) {
    const mend = 'BRIDGE_PORT=9464, and METRICS_TOKEN as the bridge has it'
    return names.map((name) =>
      set
        ? fault(name, 'The bridge says nothing of itself at BRIDGE_PORT.', mend)
        : unseen(name, 'BRIDGE_PORT is not set.', mend),
    )
  }
  const of = (name: string) => numberIn(text, `lintel_bridge_${name}`)
  return [spool(of('spool_events')), snapshot(of('snapshot_age_seconds')), links(of('broker_connected'), of('api_up'))]
}

const unsaid = (check: string): Line =>
  unseen(check, 'the bridge does not say it.', 'The same version of bridge and API')

/** A queue that is longer than what a busy minute leaves is not being handed over. */
const LONG = 100

const spool = (events: number | undefined): Line => {
  if (events === undefined) return unsaid('bridge-spool')
  if (events === 0) return ok('bridge-spool', 'Nothing waits to be handed over.')
  const why = `${events} events wait at the bridge to be handed over.`
  const mend = 'Look at the bridge’s log: the API refuses them, or is away'
  return events > LONG ? fault('bridge-spool', why, mend) : warning('bridge-spool', why, mend)
}

const HOUR_S = 3_600

const snapshot = (age: number | undefined): Line => {
  if (age === undefined) return unsaid('bridge-snapshot')
  const mend = 'Look at the bridge’s log: it does not get the snapshot'
  if (!Number.isFinite(age) || age > 24 * HOUR_S)
    return fault(
      'bridge-snapshot',
      'The bridge has no snapshot of today: without the API it opens to nobody, or to whom it should not.',
      mend,
    )
  const why = `The bridge’s snapshot is ${Math.round(age)} s old.`
  return age > HOUR_S ? warning('bridge-snapshot', why, mend) : ok('bridge-snapshot', why)
}

const links = (broker: number | undefined, api: number | undefined): Line => {
  if (broker === undefined || api === undefined) return unsaid('bridge-links')
  if (broker !== 1)
    return fault('bridge-links', 'The bridge does not reach the broker.', 'MQTT_URL, and the broker’s log')
  return api === 1
    ? ok('bridge-links', 'The bridge reaches the broker and the API.')
    : fault('bridge-links', 'The bridge does not reach the API.', 'API_URL, and the API’s log')
}
