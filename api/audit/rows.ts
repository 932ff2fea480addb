import { eq } from 'drizzle-orm'
import type { AnyPgColumn, PgInsertValue, PgTable, PgUpdateSetSource } from 'drizzle-orm/pg-core'
import { found } from '../errors.ts'
import type { Tx } from './audited.ts'

// Add, change or remove one row, and say what was done as `audited` wants it: with the whole row, so these are for tables
// that hold no secret.

type Rows = PgTable & { id: AnyPgColumn }
type RowOf<T extends Rows> = T['$inferSelect'] & { id: string }

/** A row as it is, and stays until the transaction ends; 404 when there is none. */
export const locked = async <T extends Rows>(tx: Tx, table: T, kind: string, id: string): Promise<RowOf<T>> => {
  const [row] = await tx
    .select()
    .from(table as PgTable)
    .where(eq(table.id, id))
    .for('update')
  return found(row as RowOf<T> | undefined, kind)
}

export const added = async <T extends Rows>(tx: Tx, table: T, kind: string, values: PgInsertValue<T>) => {
  const [row] = await tx.insert(table).values(values).returning()
  const after = found(row as RowOf<T> | undefined, kind)
  return { target: { kind, id: after.id }, after, answer: after }
}

export const changed = async <T extends Rows>(
  tx: Tx,
  table: T,
  kind: string,
  id: string,
  values: PgUpdateSetSource<T>,
) => {
  const before = await locked(tx, table, kind, id)
  const [row] = await tx.update(table).set(values).where(eq(table.id, id)).returning()
  const after = found(row as RowOf<T> | undefined, kind)
  return { target: { kind, id }, before, after, answer: after }
}

export const removed = async <T extends Rows>(tx: Tx, table: T, kind: string, id: string) => {
  const [row] = await tx.delete(table).where(eq(table.id, id)).returning()
  return { target: { kind, id }, before: found(row as RowOf<T> | undefined, kind), answer: null }
}
