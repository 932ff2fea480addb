import type { ROLES } from '../db/schema.ts'

/*
 * Which role may do what, on one page. Every route of management names one of these permissions (guard.ts, `may`), and a
 * test refuses a route that names none.
 */

export type Role = (typeof ROLES)[number]

/** What there is to read and to change. */
const NOUNS = [
  'people',
  'cards',
  'enrolments',
  'groups',
  'schedules',
  'readers',
  'doors',
  'rules',
  'commands',
  'lockdowns',
  'bridges',
  'accounts',
  'api-keys',
  'webhooks',
] as const
const READ_ONLY = ['events', 'device-events', 'explain', 'audit', 'alerts'] as const
/** An import writes people, cards and who is in which group at once, so it is a permission of its own. */
const WRITE_ONLY = ['imports'] as const

export type Permission =
  | `${(typeof NOUNS)[number] | (typeof READ_ONLY)[number]}:read`
  | `${(typeof NOUNS)[number] | (typeof WRITE_ONLY)[number]}:write`
  /** Only what belongs to the person whom the account is linked to. */
  | 'own:read'

const READS: Permission[] = [...NOUNS, ...READ_ONLY].map((noun) => `${noun}:read` as const)
const WRITES: Permission[] = [...NOUNS, ...WRITE_ONLY].map((noun) => `${noun}:write` as const)

const MAY: Record<Role, readonly Permission[]> = {
  owner: [...READS, ...WRITES],
  admin: [...READS, ...WRITES],
  // What operators do: they give cards to people who are there, which an administrator has given rights; they open doors,
  // and they shut or open all of them when there is danger.
  operator: [
    ...READS.filter((permission) => !/^(accounts|api-keys|audit|webhooks):/.test(permission)),
    'enrolments:write',
    'commands:write',
    'lockdowns:write',
  ],
  auditor: READS,
  member: ['own:read'],
}

/** The roles that somebody may give, and whose accounts they may change. Nobody gives their own, except owners. */
const GRANTS: Record<Role, readonly Role[]> = {
  owner: ['owner', 'admin', 'operator', 'auditor', 'member'],
  admin: ['operator', 'auditor', 'member'],
  operator: [],
  auditor: [],
  member: [],
}

/** The roles whose accounts need a second factor where REQUIRE_MFA says so. */
const NEED_FACTOR: readonly Role[] = ['owner', 'admin']

/** What no key may do, whatever its role: whoever found a key must not be able to make a way in that outlives it. */
const NEVER_BY_KEY: readonly Permission[] = ['accounts:write', 'api-keys:write', 'bridges:write', 'webhooks:write']

/** A key with scopes may do those that its role may; one without, all that its role may. */
export const permissionsOf = (role: Role, key?: { scopes: readonly string[] | null }): ReadonlySet<Permission> => {
  if (!key) return new Set(MAY[role])
  const { scopes } = key
  return new Set(MAY[role].filter((one) => !NEVER_BY_KEY.includes(one) && (scopes === null || scopes.includes(one))))
}

export const needsFactor = (role: Role): boolean => NEED_FACTOR.includes(role)

export const mayGrant = (role: Role, other: Role): boolean => GRANTS[role].includes(other)

/** Every permission that a key can have. */
export const SCOPES = [...READS, ...WRITES].filter((permission) => !NEVER_BY_KEY.includes(permission))
