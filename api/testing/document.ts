import type { TestApi } from './api.ts'

/** A JSON Schema as it stands in the document; of it the tests read what the API says of its input. */
export type Schema = {
  type?: 'string' | 'integer' | 'number' | 'boolean' | 'array' | 'object' | 'null'
  enum?: readonly unknown[]
  const?: unknown
  anyOf?: readonly Schema[]
  oneOf?: readonly Schema[]
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  items?: Schema
  minItems?: number
  maxItems?: number
  properties?: Record<string, Schema>
  required?: readonly string[]
  additionalProperties?: boolean | Schema
}

type Described = {
  parameters?: { in: 'path' | 'query'; name: string; schema: Schema; required?: boolean }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
}

/** One operation of `/openapi.json`. `path` is whole, with `{id}` where an id stands. */
export type Route = {
  /** As the tables of the tests name it: `GET /people/{id}` under /api/v1, `POST /internal/config` elsewhere. */
  name: string
  method: string
  path: string
  query: Record<string, Schema>
  required: string[]
  /** What is said of a JSON body; undefined for a route that reads none. */
  body: Schema | undefined
}

export const nameOf = (method: string, path: string): string =>
  `${method.toUpperCase()} ${path.replace(/^\/api\/v1(?=\/)/, '')}`

/** Every operation that the API documents. */
export const routesOf = async (api: Pick<TestApi, 'fetch'>): Promise<Route[]> => {
  const document: { paths: Record<string, Record<string, Described>> } = await (await api.fetch('/openapi.json')).json()
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { parameters = [], requestBody }]) => {
      const query = parameters.filter((parameter) => parameter.in === 'query')
      return {
        name: nameOf(method, path),
        method: method.toUpperCase(),
        path,
        query: Object.fromEntries(query.map(({ name, schema }) => [name, schema])),
        required: query.filter(({ required }) => required).map(({ name }) => name),
        body: requestBody?.content['application/json']?.schema,
      }
    }),
  )
}
