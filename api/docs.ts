import { Hono } from 'hono'
import { html } from 'hono/html'
import { describeRoute, generateSpecs, resolver } from 'hono-openapi'
import * as v from 'valibot'
import { SEALED } from './contract/envelope.ts'
import { found, Problem } from './errors.ts'
import type { AppEnv } from './platform.ts'

const refusals = {
  401: 'Not signed in, or not any more.',
  403: 'This role may not do that.',
  404: 'There is no such thing.',
  409: 'It conflicts with what is there; `detail` says with what.',
  415: 'The body is not JSON.',
  422: 'Some of the input cannot be used; `errors` says which.',
  503: 'Not available right now; `detail` says why.',
  429: 'Too many requests, or too many failed attempts; `Retry-After` says how many seconds to wait.',
} as const

type Refusal = Exclude<keyof typeof refusals, 429>

const content = (type: string, schema: v.GenericSchema) => ({ content: { [type]: { schema: resolver(schema) } } })

/** One route in `/openapi.json`: what it does, what it answers when it works, and how it refuses. */
export const doc = (
  tag: string,
  summary: string,
  answer: {
    status?: 200 | 201 | 202 | 204
    schema?: v.GenericSchema
    type?: string
    refusals?: readonly Refusal[]
    anybody?: true
    /** Asked by a bridge or a broker, which nobody counts. */
    unlimited?: true
    asked?: string
  } = {},
) => {
  const { status = 200, schema, type = 'application/json' } = answer
  const stated: readonly Refusal[] = answer.refusals ?? [401, 403, 404, 409, 415, 422]
  // Every route of /api has its limits; a bridge has none, nor has a broker.
  const refused = stated.length > 0 && type !== SEALED && !answer.unlimited ? ([...stated, 429] as const) : stated
  return describeRoute({
    tags: [tag],
    summary,
    ...(refused.includes(401) && !answer.anybody && { security: [{ accessToken: [] }] }),
    ...(answer.asked && { requestBody: { content: { [answer.asked]: { schema: { type: 'string' } } } } }),
    responses: {
      [status]: { description: schema ? 'The answer.' : 'Done.', ...(schema && content(type, schema)) },
      ...Object.fromEntries(
        refused.map((code) => [code, { description: refusals[code], ...content('application/problem+json', Problem) }]),
      ),
    },
  })
}

/** A call of a bridge: a compact JWS in, a compact JWS out, and no other token. */
export const sealed = {
  schema: v.pipe(v.string(), v.description('A compact JWS (RFC 7515, HS256) with the bridge’s key; see README.')),
  type: SEALED,
  asked: SEALED,
  anybody: true,
  refusals: [401, 422],
} as const

/** A page of a list. `nextCursor` is null on the last one. */
export const pageOf = <S extends v.GenericSchema>(item: S) =>
  v.object({ items: v.array(item), nextCursor: v.nullable(v.string()) })

const documentation = {
  info: {
    title: 'Lintel',
    version: '0.1.0',
    description: 'Access control: people, cards, groups, schedules, readers and rules, and the record of every scan.',
  },
  components: { securitySchemes: { accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
} as const

/** Where the page's own files come from: Swagger UI as its package ships it, never a CDN. */
const FILES = ['swagger-ui.css', 'swagger-ui-bundle.js'] as const

const page = html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width" />
    <title>Lintel API</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css" />
  </head>
  <body>
    <div id="docs"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>`

/** The API described from its own routes and schemas, for programs (`/openapi.json`) and for people (`/docs`). */
export const docs = (app: Hono<AppEnv>): Hono<AppEnv> => {
  let spec: ReturnType<typeof generateSpecs> | undefined
  return new Hono<AppEnv>()
    .get('/openapi.json', async (c) => {
      spec ??= generateSpecs(app, { documentation, excludeStaticFile: false, defaultValidationErrorResponse: false })
      return c.json({ ...(await spec), openapi: '3.1.0' })
    })
    .get('/docs', (c) => c.html(page))
    .get('/docs/start.js', (c) =>
      c.body("SwaggerUIBundle({ url: '/openapi.json', dom_id: '#docs', persistAuthorization: false })", 200, {
        'content-type': 'text/javascript; charset=utf-8',
      }),
    )
    .get('/docs/:file', (c) =>
      c.env.asset(
        found(
          FILES.find((file) => file === c.req.param('file')),
          'file',
        ),
      ),
    )
}
