import { Hono } from 'hono'
import { createMiddleware } from 'hono/factory'
import * as v from 'valibot'
import { isBearer } from '../bearer.ts'
import { doc } from '../docs.ts'
import { refuse } from '../errors.ts'
import type { AppEnv } from '../platform.ts'
import { DATABASE_AWAY, siteText } from './site.ts'

/** Lets in whoever collects numbers. Where there is no token nobody does. */
const collectorOnly = createMiddleware<AppEnv>(async (c, next) => {
  const { METRICS_TOKEN } = c.env.config
  if (METRICS_TOKEN === undefined) refuse(404, 'Nobody may see metrics here: there is no METRICS_TOKEN. See /docs.')
  if (!(await isBearer(c.req.header('authorization'), String(METRICS_TOKEN))))
    refuse(401, 'Only for whoever collects metrics: send METRICS_TOKEN as a Bearer token.')
  await next()
})

/** A database that says nothing for so long is as good as away; whoever collects waits 10 s. */
const tooLate = () => new Promise<string>((resolve) => setTimeout(resolve, 3_000, DATABASE_AWAY))

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
    const ofSite = await Promise.race([siteText(c.env.db, c.env.now()).catch(() => DATABASE_AWAY), tooLate()])
    return c.text(`${ofProcess}\n${ofSite}`, 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
  },
)
