import { days, fault, type Line, ok, some, warning } from './line.ts'

// Who may come in: accounts, and keys of programs and bridges.

export const factorRequired = (required: boolean): Line =>
  required
    ? ok('second-factor-required', 'Owners and admins do nothing without a second factor.')
    : fault('second-factor-required', 'A password is enough for an owner.', 'REQUIRE_MFA=true')

/** `without`: owners and admins who can sign in and have none. */
export const factor = (without: readonly string[], required: boolean): Line => {
  if (without.length === 0) return ok('second-factor', 'Every owner and admin has one.')
  const why = `${without.length} of the owners and admins have none: ${some(without)}.`
  const mend = 'They sign in and set one up, or: PATCH /api/v1/accounts/(id) {"disabled":true}'
  return required
    ? warning('second-factor', `${why} They can do nothing until then.`, mend)
    : fault('second-factor', why, mend)
}

const MOST_OWNERS = 3

export const owners = (ids: readonly string[]): Line => {
  if (ids.length === 0)
    return fault('owners', 'There is no owner who can sign in.', 'ADMIN_EMAIL and ADMIN_PASSWORD, npm run api')
  return ids.length > MOST_OWNERS
    ? warning(
        'owners',
        `${ids.length} accounts may do everything: ${some(ids)}.`,
        'PATCH /api/v1/accounts/(id) {"role":"admin"}',
      )
    : ok('owners', `${ids.length} may do everything.`)
}

/** Days without a trace after which somebody is likely gone. */
const UNUSED_DAYS = 90

export const unused = (ids: readonly string[]): Line =>
  ids.length === 0
    ? ok('accounts-unused', `Every account did something within ${UNUSED_DAYS} days, or is as new.`)
    : warning(
        'accounts-unused',
        `Nothing was heard of ${ids.length} accounts for ${UNUSED_DAYS} days: ${some(ids)}.`,
        'PATCH /api/v1/accounts/(id) {"disabled":true}',
      )

export type KeyFound = { id: string; createdAt: Date; expiresAt: Date | null; lastUsedAt: Date | null }

export const apiKeys = (keys: readonly KeyFound[], now: Date): Line => {
  const good = keys.filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
  const forEver = good.filter(({ expiresAt }) => expiresAt === null).map(({ id }) => id)
  const idle = good
    .filter(({ createdAt, lastUsedAt }) => days(lastUsedAt ?? createdAt, now) >= UNUSED_DAYS)
    .map(({ id }) => id)
  const why = [
    forEver.length > 0 && `Good for ever: ${some(forEver)}.`,
    idle.length > 0 && `Not used for ${UNUSED_DAYS} days: ${some(idle)}.`,
  ].filter((one) => one !== false)
  return why.length === 0
    ? ok('api-keys', `${good.length} are good, in use, and expire some day.`)
    : warning('api-keys', why.join(' '), 'DELETE /api/v1/api-keys/(id), and a new one with expiresAt')
}

const BRIDGE_DAYS = 365

/** Since when each bridge has its key. */
export const bridgeKeys = (bridges: readonly { id: string; since: Date }[], now: Date): Line => {
  const old = bridges.filter(({ since }) => days(since, now) > BRIDGE_DAYS).map(({ id }) => id)
  return old.length === 0
    ? ok('bridge-keys', `${bridges.length} bridges, none with a key of more than a year.`)
    : warning('bridge-keys', `Keys of more than a year: ${some(old)}.`, 'POST /api/v1/bridges/(id)/rotate')
}

/** Is BRIDGE_KEY, where it is set here, the key of that bridge? */
export const ownBridgeKey = (is: 'current' | 'previous' | 'wrong' | 'unset'): Line => {
  const mend = 'POST /api/v1/bridges/(id)/rotate, and its answer into BRIDGE_KEY'
  if (is === 'wrong') return fault('bridge-key', 'BRIDGE_KEY is not the key of BRIDGE_ID.', mend)
  if (is === 'previous')
    return warning('bridge-key', 'BRIDGE_KEY is the one from before, which soon is good no more.', mend)
  return ok('bridge-key', is === 'unset' ? 'No bridge is set up here.' : 'BRIDGE_KEY is the key of BRIDGE_ID.')
}
