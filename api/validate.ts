import { createMiddleware } from 'hono/factory'
import { matchedRoutes } from 'hono/route'
import { validator } from 'hono-openapi'
import * as v from 'valibot'
import { isInstant, isPlainText } from './contract/scan.ts'
import { InvalidFields, refuse } from './errors.ts'
import type { AppEnv } from './platform.ts'

// Valibot at the edge of a route: what gets past here is well-formed, and described in OpenAPI by the same schemas.

type Issues = readonly { message: string; path?: readonly (PropertyKey | { key: PropertyKey })[] | undefined }[]

const fields = (issues: Issues) =>
  issues.map(({ path = [], message }) => ({
    path: path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.'),
    message,
  }))

const refuseInvalid = (result: { success: boolean; error?: Issues }) => {
  if (!result.success) throw new InvalidFields(fields(result.error ?? []))
}

export const body = <S extends v.GenericSchema>(schema: S) => validator('json', schema, refuseInvalid as never)

/** Routes that say what their query may be. */
const queries = new WeakSet<object>()

export const query = <S extends v.GenericSchema>(schema: S) => {
  const checked = validator('query', schema, refuseInvalid as never)
  queries.add(checked)
  return checked
}

/** A route that has no query refuses one: what is not understood is not passed over. */
export const noStrayQuery = createMiddleware<AppEnv>(async (c, next) => {
  const names = Object.keys(c.req.queries())
  const matched = names.length > 0 ? matchedRoutes(c).filter(({ method }) => method !== 'ALL') : []
  if (matched.length > 0 && !matched.some(({ handler }) => queries.has(handler))) {
    throw new InvalidFields(names.map((path) => ({ path, message: 'is not known here' })))
  }
  await next()
})

export const Id = v.pipe(v.string(), v.uuid('not an id'), v.toLowerCase())

/** A place in a list that is numbered from 1, as it stands in a path. */
export const numberParam = validator(
  'param',
  v.strictObject({ number: v.pipe(v.string(), v.regex(/^[1-9]\d{0,14}$/, 'not a number'), v.transform(Number)) }),
  refuseInvalid as never,
)

/** What is not a uuid never reaches the database. */
export const param = <const Names extends readonly string[]>(...names: Names) =>
  validator(
    'param',
    v.strictObject(Object.fromEntries(names.map((name) => [name, Id])) as Record<Names[number], typeof Id>),
    refuseInvalid as never,
  )

const only = (types: RegExp, sentence: string) =>
  createMiddleware<AppEnv>(async (c, next) => {
    const hasBody = c.req.header('transfer-encoding') !== undefined || Number(c.req.header('content-length') ?? 0) > 0
    if (hasBody && !types.test(c.req.header('content-type') ?? '')) refuse(415, sentence)
    const encoding = c.req.header('content-encoding')
    if (encoding !== undefined && encoding.toLowerCase() !== 'identity') refuse(415, 'Send the body uncompressed.')
    await next()
  })

/** Hono hands `{}` to a handler when the body is not called JSON: say so instead. */
export const jsonOnly = only(
  /^application\/([\w.+-]+\+)?json\s*(;|$)/i,
  'Send the body as JSON, with content-type: application/json.',
)

export const csvOnly = only(/^text\/csv\s*(;|$)/i, 'Send the file as it is, with content-type: text/csv.')

/** For PATCH: any of the fields, and at least one. */
export const change = <E extends v.ObjectEntries>(entries: E) =>
  v.pipe(
    v.partial(v.strictObject(entries)),
    v.check((input) => Object.keys(input).length > 0, 'nothing to change'),
  )

/** A line of text for people: trimmed, not empty. */
export const line = (most = 200) =>
  v.pipe(
    v.string(),
    v.trim(),
    v.minLength(1, 'must not be empty'),
    v.maxLength(most),
    v.check(isPlainText, 'must not contain control characters'),
  )

export const email = v.pipe(v.string(), v.trim(), v.toLowerCase(), v.maxLength(254), v.email())

/** RFC 3339 in, Date out. */
export const instant = v.pipe(
  v.string(),
  v.isoTimestamp('not a time such as 2026-01-31T08:00:00Z'),
  v.check(isInstant, 'not a time such as 2026-01-31T08:00:00Z'),
  v.transform((text) => new Date(text)),
)

/** RFC 3339 as it goes out. */
export const time = v.pipe(v.string(), v.isoTimestamp())
