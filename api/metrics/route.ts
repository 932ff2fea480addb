import { Hono } from 'hono'
import * as v from 'valibot'
import { bearerOnly } from '../bearer.ts'
import { doc } from '../docs.ts'
import type { AppEnv } from '../platform.ts'
import { inTime } from '../waiting.ts'
import { DATABASE_AWAY, siteText } from './site.ts'

/** Whoever collects numbers. Where there is no token nobody does. */
const collectorOnly = bearerOnly(({ METRICS_TOKEN }) => METRICS_TOKEN, {
  nobody: 'Nobody may see metrics here: there is no METRICS_TOKEN. See /docs.',
  others: 'Only for whoever collects metrics: send METRICS_TOKEN as a Bearer token.',
})

/** A database that says nothing for so long is as good as away; whoever collects waits 10 s. Milliseconds. */
const PATIENCE_MS = 3_000

/**
 * What the database knows is told by every runtime, what a process counted only where there is one that lasts: on Workers the
 * platform's own figures stand for that.
 */
export const metrics = new Hono<AppEnv>().get(
  '/metrics',
  doc('health', 'Numbers for Prometheus: of this process (on Node), and of the site', {
    schema: v.string(),
    type: 'text/plain',
    refusals: [401, 404],
    anybody: true,
    unlimited: true,
  }),
  collectorOnly,
  async (c) => {
    const ofProcess = await c.env.metrics.text()
    // A database that is away is what somebody wants to see here, not a reason to see nothing.
    const asked = siteText(c.env.db, c.env.now()).catch(() => DATABASE_AWAY)
    const ofSite = await inTime(asked, PATIENCE_MS, DATABASE_AWAY)
    return c.text(`${ofProcess}\n${ofSite}`, 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
  },
)
