import { eq, sql } from 'drizzle-orm'
import { v7 } from 'uuid'
import type { Tx } from '../audit/audited.ts'
import { type alerts, webhookDeliveries, webhooks } from '../db/schema.ts'
import { type Finding, QUIET_MS } from './finding.ts'

export type Alert = Omit<typeof alerts.$inferSelect, 'detail'> & Finding

/** So many rows are one statement. */
const AT_ONCE = 1_000

/** An alert for each that has not been told just before or after, and a delivery to each webhook that wants it. Gives the alerts. */
export const raise = async (tx: Tx, at: Date, findings: readonly Finding[]): Promise<Alert[]> => {
  const raised: Alert[] = []
  for (const finding of findings.toSorted((a, b) => a.since.getTime() - b.since.getTime())) {
    const alert = { id: v7(), at, ...finding }
    if (await isNew(tx, alert)) raised.push(alert)
  }
  if (raised.length > 0) await announce(tx, at, raised)
  return raised
}

/** Written down, unless there is one of the same within the time of quiet: by the index that makes it unique. */
const isNew = async (tx: Tx, { id, at, kind, about, since, detail }: Alert): Promise<boolean> => {
  const [first, last] = [-1, 1].map((way) => new Date(since.getTime() + way * QUIET_MS[kind]).toISOString())
  const written = await tx.execute(sql`
    insert into alerts (id, at, kind, about, since, detail)
    select ${id}::uuid, ${at.toISOString()}::timestamptz, ${kind}::text, ${about}::text, ${since.toISOString()}::timestamptz,
      ${JSON.stringify(detail)}::jsonb
    where not exists (
      select from alerts a where a.kind = ${kind}::text and a.about = ${about}::text
        and a.since > ${first}::timestamptz and a.since < ${last}::timestamptz)
    on conflict do nothing returning id`)
  return written.length > 0
}

/** The text of a message about an alert: what is in `data` is as the API shows it. */
const messageOf = (alert: Alert): string =>
  JSON.stringify({ type: `alert.${alert.kind}`, timestamp: alert.at.toISOString(), data: alert })

const announce = async (tx: Tx, at: Date, raised: readonly Alert[]): Promise<void> => {
  // None is turned off, or deleted, while it is about to get something.
  const hooks = await tx.select().from(webhooks).where(eq(webhooks.enabled, true)).for('share')
  const rows = raised.flatMap((alert) =>
    hooks
      .filter(({ kinds }) => kinds === null || kinds.includes(alert.kind))
      .map(({ id }) => ({ webhookId: id, alertId: alert.id, body: messageOf(alert), createdAt: at, nextAt: at })),
  )
  for (let i = 0; i < rows.length; i += AT_ONCE) await tx.insert(webhookDeliveries).values(rows.slice(i, i + AT_ONCE))
}
