import { sql } from 'drizzle-orm'
import { type Context, Hono } from 'hono'
import { v7 } from 'uuid'
import * as v from 'valibot'
import { audited, noteAll, type Tx } from '../../audit/audited.ts'
import { doc } from '../../docs.ts'
import { InvalidFields, invalid, refuse } from '../../errors.ts'
import { may } from '../../login/guard.ts'
import type { AppEnv } from '../../platform.ts'
import { Id, query } from '../../validate.ts'
import { COLUMNS, readCsv } from './csv.ts'
import { knownOf } from './known.ts'
import type { RowError } from './lines.ts'
import { linesOf, type Plan, planOf, RESULTS } from './plan.ts'
import { changesOf, write } from './write.ts'

/** So many errors are told; `moreErrors` says how many there are besides. */
const MOST_ERRORS = 200

const Imported = v.object({
  /** By which the audit log knows it; nothing is on record of a dry run. */
  id: v.nullable(Id),
  dryRun: v.boolean(),
  rows: v.number(),
  created: v.object({ people: v.number(), cards: v.number(), memberships: v.number() }),
  updated: v.object({ people: v.number(), cards: v.number() }),
  unchanged: v.number(),
  errors: v.array(v.object({ row: v.number(), column: v.optional(v.picklist(COLUMNS)), message: v.string() })),
  moreErrors: v.number(),
  results: v.array(
    v.object({ row: v.number(), result: v.picklist(RESULTS), personId: v.optional(Id), cardId: v.optional(Id) }),
  ),
})
type Imported = v.InferOutput<typeof Imported>

const textOf = (bytes: ArrayBuffer): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return invalid('', 'The file is not in UTF-8. In a spreadsheet, save it as “CSV UTF-8”.')
  }
}

const fingerprint = async (bytes: ArrayBuffer) =>
  [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('')

const summary = ({ people, cards, memberships, results }: Plan) => ({
  rows: results.length,
  created: { people: people.added.length, cards: cards.added.length, memberships: memberships.length },
  updated: { people: people.changed.length, cards: cards.changed.length },
  unchanged: results.filter(({ result }) => result === 'unchanged').length,
})

/** A dry run names nobody who is not there yet: they would get another id. */
const withoutNew = ({ people, cards, results }: Plan): Imported['results'] => {
  const isNew = new Set([...people.added, ...cards.added].map(({ id }) => id))
  return results.map(({ row, result, personId, cardId }) => ({
    ...{ row, result },
    ...(personId !== undefined && !isNew.has(personId) && { personId }),
    ...(cardId !== undefined && !isNew.has(cardId) && { cardId }),
  }))
}

const told = (plan: Plan) => ({
  ...summary(plan),
  errors: plan.errors.slice(0, MOST_ERRORS),
  moreErrors: Math.max(plan.errors.length - MOST_ERRORS, 0),
})

/** A field of a 422: `rows.12.email`. */
const asField = ({ row, column, message }: RowError) => ({
  path: column === undefined ? `rows.${row}` : `rows.${row}.${column}`,
  message,
})

const refuseErrors = (errors: readonly RowError[]) => {
  if (errors.length === 0) return
  const detail = `Nothing was imported: ${errors.length} mistakes in ${new Set(errors.map(({ row }) => row)).size} rows. A dry run lists them.`
  throw new InvalidFields(errors.map(asField), detail)
}

/** One at a time: two that name the same people would wait for each other. */
const alone = async (tx: Tx) => {
  const [lock] = await tx.execute<{ mine: boolean }>(sql`select pg_try_advisory_xact_lock(1818850402) as mine`)
  if (!lock?.mine) refuse(409, 'Another import is under way. Try again when it is done.')
}

const carryOut = (c: Context<AppEnv>, bytes: ArrayBuffer, rows: ReturnType<typeof linesOf>): Promise<Imported> =>
  audited(c, 'imports.people', async (tx) => {
    await alone(tx)
    const plan = planOf(rows, await knownOf(tx, rows))
    refuseErrors(plan.errors)
    await write(tx, plan)
    await noteAll(tx, c, changesOf(plan))
    const id = v7()
    const { rows: count, created, updated } = summary(plan)
    return {
      target: { kind: 'import', id },
      after: { rows: count, created, updated, sha256: await fingerprint(bytes) },
      answer: { id, dryRun: false, ...told(plan), results: plan.results },
    }
  })

export const imports = new Hono<AppEnv>().post(
  '/people',
  may('imports:write'),
  doc('imports', 'Add and change people, their cards and their groups from a CSV file: all of it, or nothing', {
    schema: Imported,
    asked: 'text/csv',
  }),
  query(v.strictObject({ dryRun: v.optional(v.picklist(['true', 'false']), 'false') })),
  async (c) => {
    const bytes = await c.req.arrayBuffer()
    const rows = linesOf(readCsv(textOf(bytes)))
    if (c.req.valid('query').dryRun === 'false') return c.json(await carryOut(c, bytes, rows))
    const plan = await c.env.db.transaction(async (tx) => planOf(rows, await knownOf(tx, rows)))
    return c.json({ id: null, dryRun: true, ...told(plan), results: withoutNew(plan) } satisfies Imported)
  },
)
