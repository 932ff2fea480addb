import { DrizzleQueryError } from 'drizzle-orm'
import type { Context, ErrorHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import * as v from 'valibot'
import { raised, sentences } from './db/constraints.ts'
import type { AppEnv } from './platform.ts'
import { routeOf } from './request-log.ts'

/** RFC 9457. `type` is the stable word for programs, `detail` a sentence for people. */
export const Problem = v.object({
  type: v.string(),
  title: v.string(),
  status: v.number(),
  detail: v.optional(v.string()),
  errors: v.optional(v.array(v.object({ path: v.string(), message: v.string() }))),
})
export type Problem = v.InferOutput<typeof Problem>

const TITLES = {
  400: ['malformed', 'The request could not be read'],
  401: ['unauthorized', 'Sign in first'],
  403: ['forbidden', 'Not allowed'],
  404: ['not-found', 'There is no such thing'],
  405: ['method-not-allowed', 'Not done this way'],
  409: ['conflict', 'It conflicts with what is there'],
  413: ['too-large', 'The request is too large'],
  415: ['unsupported-media-type', 'Send JSON'],
  422: ['invalid', 'Some of the input cannot be used'],
  429: ['too-many-requests', 'Too many, too fast'],
  500: ['internal', 'Something went wrong here'],
  503: ['unavailable', 'Not available right now'],
} as const satisfies Record<number, readonly [string, string]>

/** Refusals that a program has to tell from the others of their status. */
const PARTICULAR = {
  'code-required': [401, 'The second factor is missing'],
  'factor-required': [403, 'Set up a second factor first'],
  'proof-required': [403, 'Show again who you are'],
} as const satisfies Record<string, readonly [keyof typeof TITLES, string]>

type Status = keyof typeof TITLES
type Particular = keyof typeof PARTICULAR
type Fields = NonNullable<Problem['errors']>

const isStatus = (status: number): status is Status => status in TITLES

/** So many fields are named, and of each so many letters: what somebody sends a lot of must not come back as more. */
const MOST_FIELDS = 20
const MOST_LETTERS = 400

const few = (fields: Fields): Fields =>
  fields.slice(0, MOST_FIELDS).map(({ path, message }) => ({
    path: path.slice(0, MOST_LETTERS),
    message: message.slice(0, MOST_LETTERS),
  }))

export const problem = (
  c: Context,
  status: Status,
  detail?: string,
  errors?: Fields,
  [word, title]: readonly [string, string] = TITLES[status],
): Response => {
  const body: Problem = {
    type: `urn:lintel:problem:${word}`,
    title,
    status,
    ...(detail && { detail }),
    ...(errors && { errors: few(errors) }),
  }
  return c.body(JSON.stringify(body), status as ContentfulStatusCode, { 'content-type': 'application/problem+json' })
}

/** A refusal with a sentence for the caller. */
export const refuse = (status: Status, detail: string): never => {
  throw new HTTPException(status, { message: detail })
}

class ParticularRefusal extends Error {
  readonly word: Particular
  constructor(word: Particular, detail: string) {
    super(detail)
    this.word = word
  }
}

/** A refusal with a stable word of its own, and a sentence for the caller. */
export const refuseAs = (word: Particular, detail: string): never => {
  throw new ParticularRefusal(word, detail)
}

/** One or more fields cannot be used: a 422 that names them. */
export class InvalidFields extends Error {
  readonly fields: Fields
  readonly detail: string | undefined
  constructor(fields: Fields, detail?: string) {
    super('invalid fields')
    this.fields = fields
    this.detail = detail
  }
}

export const invalid = (path: string, message: string): never => {
  throw new InvalidFields([{ path, message }])
}

export const found = <T>(row: T | undefined, what: string): T => row ?? refuse(404, `There is no such ${what}.`)

/** The only place where something thrown becomes a response. Our own words go out; anybody else's stay in the log. */
export const onError: ErrorHandler<AppEnv> = (thrown, c) => {
  if (thrown instanceof InvalidFields) return problem(c, 422, thrown.detail, thrown.fields)
  if (v.isValiError(thrown)) return problem(c, 422, undefined, thrown.issues.map(asField))
  if (thrown instanceof ParticularRefusal) {
    const [status, title] = PARTICULAR[thrown.word]
    return problem(c, status, thrown.message, undefined, [thrown.word, title])
  }
  if (thrown instanceof HTTPException && isStatus(thrown.status)) {
    if (thrown.status === 503) c.header('retry-after', '1')
    return problem(c, thrown.status, thrown.message || undefined)
  }

  // Drizzle puts the bound values into its message; the database's own error below it has only names.
  const error = thrown instanceof DrizzleQueryError && thrown.cause ? thrown.cause : thrown
  const broken = brokenConstraint(error)
  if (broken?.kind === 'unique') return problem(c, 409, broken.detail)
  if (broken?.kind === 'foreign' && c.req.method === 'DELETE') return problem(c, 409, broken.inUse)
  if (broken) return problem(c, 422, undefined, [{ path: broken.path, message: broken.detail }])

  const conflict = raisedConflict(error)
  if (conflict !== undefined) return problem(c, 409, conflict)

  const code = 'code' in error ? String(error.code) : undefined
  const down = code !== undefined && DATABASE_AWAY.test(code)
  c.env.log('error', down ? 'database_away' : 'failed', {
    method: c.req.method,
    route: routeOf(c),
    code,
    ...(c.var.trace !== undefined && { trace: c.var.trace }),
    ...(!down && { error: error.name, stack: error.stack }),
  })
  return down
    ? problem(c, 503, 'The database cannot be reached or is too slow. Try again in a moment.')
    : problem(c, 500)
}

/** postgres.js's own connection errors, the socket's, and Postgres's "shutting down", "too many" and "took too long". */
const DATABASE_AWAY = /^(CONNECT(ION)?_|ECONN|EPIPE|ENOENT|ETIMEDOUT|EHOSTUNREACH|08|57P0|53300|57014|25006)/

const asField = (issue: v.BaseIssue<unknown>) => ({ path: v.getDotPath(issue) ?? '', message: issue.message })

const brokenConstraint = (error: Error) => {
  if (!('code' in error) || !('constraint_name' in error)) return undefined
  const kind = KINDS[String(error.code)]
  const sentence = sentences[String(error.constraint_name)]
  return kind && sentence && { kind, ...sentence }
}

const raisedConflict = (error: Error): string | undefined =>
  'code' in error && error.code === '23001' && 'constraint_name' in error
    ? raised[String(error.constraint_name)]
    : undefined

const KINDS: Record<string, 'unique' | 'foreign' | 'check'> = { 23505: 'unique', 23503: 'foreign', 23514: 'check' }
