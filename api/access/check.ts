import { Hono } from 'hono'
import * as v from 'valibot'
import { decide } from '../contract/decide.ts'
import { CALLS, SEALED, seal } from '../contract/envelope.ts'
import { Ask, DEADLINE_MS, decisionOf, readersReason } from '../contract/scan.ts'
import { doc, sealed } from '../docs.ts'
import { invalid } from '../errors.ts'
import { timing } from '../metrics.ts'
import type { AppEnv } from '../platform.ts'
import { enrol, isNobodys } from './enrol.ts'
import { gatherFacts } from './facts.ts'
import { confirm, unseal } from './keys.ts'
import { record } from './record.ts'
import { withPin } from './typed-pin.ts'

const { ask, answer } = CALLS.check

/** How far a bridge's clock may be ahead of ours: as far as its seal may be from now. Milliseconds. */
export const AHEAD_MS = 30_000

/** May this card pass this reader? Sealed question in, sealed answer out; on record before it is answered. */
export const check = new Hono<AppEnv>().post(
  '/access-check',
  doc('bridges', 'May this card pass this reader? Asked by a bridge at each scan', sealed),
  async (c) => {
    const { doorDb: db, now, metrics } = c.env
    const took = timing(metrics)
    const { bridge, message } = await unseal(c.env, await c.req.text(), ask)
    const { scan, want = [] } = v.parse(Ask, message)
    if (Date.parse(scan.at) > now().getTime() + AHEAD_MS) invalid('scan.at', 'is in the future: compare the clocks')
    took('open')

    const gathered = await gatherFacts(db, scan.readerId, scan.card, bridge.id)
    confirm(c.env, bridge, gathered.generations)
    const at = now()
    const late = at.getTime() - Date.parse(scan.at) > DEADLINE_MS
    const known = { ...gathered, facts: { ...gathered.facts, late, pin: 'none' as const } }
    const { facts, name, openMs } = scan.decided ? known : await withPin(c.env, scan, known, at)
    took('facts')
    const reason = scan.decided ? readersReason(scan.decided) : decide(facts, at)
    const [card, second] = facts.cards
    const whose = second ? undefined : card
    const verdict = {
      reason,
      receivedAt: at,
      bridgeId: bridge.id,
      openMs: scan.decided ? 0 : openMs,
      cardId: whose?.id ?? undefined,
      personId: whose?.person.id,
      name,
    }
    // Where an enrolment waits for a card, it is on record as that, and that is what is answered.
    if (isNobodys(scan, facts, at)) await enrol(db, scan, { at, bridgeId: bridge.id })
    const decision = await record(db, scan, verdict, want)
    took('record')

    const reply = await seal(decision, answer, bridge.id, bridge.key, now())
    took('seal')
    metrics.scan(decisionOf(decision.reason), decision.reason, scan.decided ? 'reader' : 'online')
    return c.body(reply, 200, { 'content-type': SEALED })
  },
)
