/**
 * What somebody should look at: words that leave the process (in the API, in webhooks, as labels of metrics), added to and
 * never renamed.
 */
export const ALERTS = [
  /** Many sign-ins failed within minutes: at one account, or from one address. */
  'failed_sign_ins',
  /** Cards that nobody knows, tried one after another at one reader. */
  'unknown_cards',
  /** One card at readers in two places within a minute. */
  'far_readers',
  'door_forced',
  'door_held_open',
  'tamper',
  'reader_offline',
  'bridge_offline',
  /** What ought to be done regularly was not: a backup, the removal of what is too old. */
  'upkeep_failed',
] as const
export type AlertKind = (typeof ALERTS)[number]
