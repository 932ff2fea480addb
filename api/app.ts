import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { createMiddleware } from 'hono/factory'
import * as v from 'valibot'
import { accessList } from './access/access-list.ts'
import { check } from './access/check.ts'
import { commands as bridgeCommands } from './access/commands.ts'
import { deviceReports } from './access/device-events.ts'
import { handOver } from './access/hand-over.ts'
import { seen } from './access/seen.ts'
import { site } from './access/site.ts'
import { snapshot } from './access/snapshot.ts'
import { atMost } from './at-most.ts'
import { broker } from './broker/broker.ts'
import { careful, otherOrigins, stayOnHttps } from './browsers.ts'
import { whyNotReady } from './db/ready.ts'
import { doc, docs } from './docs.ts'
import { onError, problem, refuse } from './errors.ts'
import { requireFactor } from './login/enrolment.ts'
import { accountsOnly, signedIn } from './login/guard.ts'
import { login } from './login/login.ts'
import { accountAccess } from './manage/account-access.ts'
import { accounts } from './manage/accounts.ts'
import { alerts } from './manage/alerts.ts'
import { keys } from './manage/api-keys.ts'
import { audit } from './manage/audit.ts'
import { bridges } from './manage/bridges.ts'
import { brokerAccounts } from './manage/broker-accounts.ts'
import { cards } from './manage/cards.ts'
import { commands, doorOpening, readerOpening } from './manage/commands.ts'
import { deviceEvents } from './manage/device-events.ts'
import { doors } from './manage/doors.ts'
import { enrolments } from './manage/enrolments.ts'
import { events } from './manage/events.ts'
import { explain } from './manage/explain.ts'
import { groups } from './manage/groups.ts'
import { imports } from './manage/imports/imports.ts'
import { invitations } from './manage/invitations.ts'
import { lockdowns } from './manage/lockdowns.ts'
import { me } from './manage/me.ts'
import { myFactor } from './manage/my-factor.ts'
import { mySessions } from './manage/my-sessions.ts'
import { people } from './manage/people.ts'
import { pins } from './manage/pins.ts'
import { doorProfiles, profiles } from './manage/profiles.ts'
import { readerKeys } from './manage/reader-keys.ts'
import { readers } from './manage/readers.ts'
import { rules } from './manage/rules.ts'
import { schedules } from './manage/schedules.ts'
import { unknownCards } from './manage/unknown-cards.ts'
import { unknownReaders } from './manage/unknown-readers.ts'
import { webhookDeliveries } from './manage/webhook-deliveries.ts'
import { webhooks } from './manage/webhooks.ts'
import { metrics } from './metrics/route.ts'
import { spendOfAddress } from './per-minute.ts'
import type { AppEnv } from './platform.ts'
import { erasure } from './privacy/erase.ts'
import { personExport } from './privacy/export.ts'
import { oneLine } from './request-log.ts'
import { csvOnly, jsonOnly, noStrayQuery } from './validate.ts'

const Ok = v.object({ ok: v.literal(true) })

const smallBodies = (maxSize: number) =>
  bodyLimit({ maxSize, onError: () => refuse(413, `The body is larger than ${maxSize / 1024} KiB.`) })

/**
 * The same for the scan path, which does without hono's own where the length is said: to look at the body costs
 * @hono/node-server the making of a whole Request.
 */
const smallMessages = (maxSize: number) => {
  const unsaid = smallBodies(maxSize)
  return createMiddleware<AppEnv>(async (c, next) => {
    const length = c.req.header('content-length')
    if (length === undefined) return unsaid(c, next)
    if (Number(length) > maxSize) refuse(413, `The message is larger than ${maxSize / 1024} KiB.`)
    return next()
  })
}

/** So many requests at once of bridges, and so many of everybody else: about what is answered within a second. */
const MOST = 1_000

/** A bridge asks; the seal says which one. */
const internal = new Hono<AppEnv>()
  // Bridges that wait for commands wait long: they are counted apart, so that scans have room however many there are.
  .use('/commands', atMost(MOST))
  .use('/:call{(?!commands$).+}', atMost(MOST))
  // A hundred events are some forty kilobytes, fifty devices with long topics as many, and five hundred outcomes ninety.
  .use('/events', smallMessages(256 * 1024))
  .use('/seen', smallMessages(256 * 1024))
  .use('/device-events', smallMessages(256 * 1024))
  .use('/outcomes', smallMessages(256 * 1024))
  .use('/:call{(?!(?:events|seen|device-events|outcomes)$).+}', smallMessages(16 * 1024))
  .route('/', check)
  .route('/', site)
  .route('/', snapshot)
  .route('/', handOver)
  .route('/', seen)
  .route('/', deviceReports)
  .route('/', accessList)
  .route('/', bridgeCommands)

/** Whoever is signed in; each route says what it asks of their role. */
export const management = new Hono<AppEnv>()
  .use(signedIn, requireFactor, noStrayQuery)
  .use('/me/*', accountsOnly)
  // Files: only somebody signed in may send so much.
  .use('/imports/*', csvOnly, smallBodies(5 * 1024 * 1024))
  .route('/me', me)
  .route('/me', myFactor)
  .route('/me', mySessions)
  .route('/people', people)
  .route('/people', pins)
  .route('/people', personExport)
  .route('/people', erasure)
  .route('/cards', cards)
  .route('/unknown-cards', unknownCards)
  .route('/enrolments', enrolments)
  .route('/imports', imports)
  .route('/groups', groups)
  .route('/schedules', schedules)
  .route('/readers', readers)
  .route('/doors', doors)
  .route('/doors', doorOpening)
  .route('/readers', readerOpening)
  .route('/commands', commands)
  .route('/profiles', profiles)
  .route('/door-profiles', doorProfiles)
  .route('/lockdowns', lockdowns)
  .route('/unknown-readers', unknownReaders)
  .route('/readers', readerKeys)
  .route('/', brokerAccounts)
  .route('/rules', rules)
  .route('/bridges', bridges)
  .route('/accounts', accounts)
  .route('/accounts', accountAccess)
  .route('/accounts', invitations)
  .route('/api-keys', keys)
  .route('/events', events)
  .route('/device-events', deviceEvents)
  .route('/explain', explain)
  .route('/audit', audit)
  .route('/alerts', alerts)
  .route('/webhooks', webhooks)
  .route('/webhooks', webhookDeliveries)

/** The broker asks who may connect, publish and hear; its token says that it is the broker. Topics are 64 KiB at most. */
const ofBroker = new Hono<AppEnv>().use(atMost(MOST), smallBodies(512 * 1024)).route('/', broker)

/** The floor plan: every path the API answers, and who may walk in. */
const api = new Hono<AppEnv>()
  .get('/health', doc('health', 'Is the process alive?', { schema: Ok, refusals: [] }), (c) => c.json({ ok: true }))
  .get(
    '/ready',
    doc('health', 'May requests be sent here? 503 while not, and why', { schema: Ok, refusals: [] }),
    async (c) => {
      c.header('cache-control', 'no-store')
      const why = await whyNotReady(c.env)
      return why === undefined ? c.json({ ok: true }) : problem(c, 503, why)
    },
  )
  .route('/', metrics)
  .use('/api/*', atMost(MOST))
  .use('/api/:path{(?!v1/imports/).+}', smallBodies(256 * 1024), jsonOnly)
  .use('/api/v1/login/*', spendOfAddress, noStrayQuery)
  .route('/api/v1', login)
  .route('/api/v1', management)

export const app = new Hono<AppEnv>()
  .use(oneLine)
  // Before what only a browser wants: a bridge asks at every scan.
  .route('/internal', internal)
  .route('/broker', ofBroker)
  .use(stayOnHttps, careful)
  .use('/api/*', otherOrigins)
  .route('/', api)
  .route('/', docs(new Hono<AppEnv>().route('/internal', internal).route('/broker', ofBroker).route('/', api)))
  .notFound((c) => problem(c, 404, 'There is nothing at this address. /docs lists what there is.'))
  .onError(onError)
