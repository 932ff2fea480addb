/**
 * What really went wrong. Drizzle wraps it in an error whose own message holds the values that were bound, so that one is for
 * nobody's eyes.
 */
export const causeOf = (error: unknown): unknown =>
  error instanceof Error && error.cause instanceof Error ? error.cause : error

/** Its message, for a log or for whoever runs a command; `otherwise` where something else than an error was thrown. */
export const messageOf = (error: unknown, otherwise = 'unknown'): string => {
  const cause = causeOf(error)
  return cause instanceof Error ? cause.message : otherwise
}

/** Its code (of Postgres, of the system), which is never more than a word; `otherwise` where it has none. */
export const errorCode = (error: unknown, otherwise: string): string => {
  const cause = causeOf(error)
  return cause instanceof Error && 'code' in cause ? String(cause.code) : otherwise
}
