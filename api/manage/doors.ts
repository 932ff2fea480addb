import { and, asc, eq, getTableColumns, ilike } from 'drizzle-orm'
import { Hono } from 'hono'
import * as v from 'valibot'
import { audited } from '../audit/audited.ts'
import { added, changed, locked, removed } from '../audit/rows.ts'
import { DOOR_MODES, doorMode, MODES } from '../contract/door-mode.ts'
import { HOME_ASSISTANT, Settings } from '../contract/site.ts'
import { readWindows } from '../contract/window.ts'
import { doorStates, schedules, doors as table } from '../db/schema.ts'
import { doc, pageOf } from '../docs.ts'
import { found } from '../errors.ts'
import { may } from '../login/guard.ts'
import type { AppEnv, Db } from '../platform.ts'
import { body, change, Id, line, param, query, time } from '../validate.ts'
import { DeviceState, shownState, stateColumns } from './device-state.ts'
import { refuseDoorClashes, refuseDoorMistakes } from './door-checks.ts'
import { inForce, readersOfDoor } from './in-force.ts'
import { after, anywhere, Paging, Search, toPage } from './page.ts'
import { settings, timezone } from './reader-fields.ts'

const ms = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(most))

const fields = {
  name: line(),
  profile: line(64),
  settings,
  timezone,
  openMs: ms(600_000),
  heldOpenMs: ms(86_400_000),
  preAlarmMs: ms(86_400_000),
  holdScheduleId: v.nullable(Id),
  homeAssistant: v.picklist(HOME_ASSISTANT),
}

/** What is not said of a new door: it opens for 3 s, and is too long open after 30 s, of which it warns 10 s before. */
const NewDoor = v.strictObject({
  ...fields,
  settings: v.optional(fields.settings, {}),
  timezone: v.optional(fields.timezone, 'UTC'),
  openMs: v.optional(fields.openMs, 3_000),
  heldOpenMs: v.optional(fields.heldOpenMs, 30_000),
  preAlarmMs: v.optional(fields.preAlarmMs, 10_000),
  holdScheduleId: v.optional(fields.holdScheduleId, null),
  homeAssistant: v.optional(fields.homeAssistant, 'off'),
})

const Door = v.object({
  id: Id,
  name: v.string(),
  profile: v.string(),
  settings: Settings,
  timezone: v.string(),
  openMs: v.number(),
  heldOpenMs: v.number(),
  preAlarmMs: v.number(),
  holdScheduleId: v.nullable(Id),
  mode: v.picklist(MODES),
  modeUntil: v.nullable(time),
  homeAssistant: v.picklist(HOME_ASSISTANT),
  brokerGeneration: v.number(),
})

/**
 * With how it is, where that is asked for: what is written, and what the audit log shows of it, is the door alone. The `mode` in
 * it is the one in which it ought to be now, with its schedule, lockdowns and evacuations.
 */
const DoorWithState = v.object({
  ...Door.entries,
  state: v.object({ ...DeviceState.entries, mode: v.picklist(DOOR_MODES) }),
})

const withStates = (db: Db, now: Date) =>
  db
    .select({
      ...getTableColumns(table),
      state: stateColumns(doorStates, doorStates.doorId),
      hold: schedules.windows,
      lockdown: inForce('lockdown', readersOfDoor, now),
      evacuation: inForce('evacuation', readersOfDoor, now),
    })
    .from(table)
    .leftJoin(doorStates, eq(doorStates.doorId, table.id))
    .leftJoin(schedules, eq(schedules.id, table.holdScheduleId))
    .$dynamic()

const shown = (row: Awaited<ReturnType<typeof withStates>>[number], now: Date) => {
  const { state, hold, lockdown, evacuation, ...door } = row
  const mode = doorMode(
    {
      ...door,
      modeUntil: door.modeUntil?.toISOString() ?? null,
      hold: hold === null ? null : readWindows(hold),
      lockdown: lockdown ? { until: null } : null,
      evacuation: evacuation ? { until: null } : null,
    },
    now,
  )
  return { ...door, state: { ...shownState(state), mode } }
}

export const doors = new Hono<AppEnv>()
  .get(
    '/',
    may('doors:read'),
    doc('doors', 'List doors by name', { schema: pageOf(DoorWithState), refusals: [401, 422] }),
    query(v.strictObject({ ...Paging, q: Search })),
    async (c) => {
      const { limit, cursor, q } = c.req.valid('query')
      const rows = await withStates(c.env.db, c.env.now())
        .where(and(q === undefined ? undefined : ilike(table.name, anywhere(q)), after(cursor, [table.name, table.id])))
        .orderBy(asc(table.name), asc(table.id))
        .limit(limit + 1)
      const page = toPage(rows, limit, (row) => [row.name, row.id])
      return c.json({ ...page, items: page.items.map((row) => shown(row, c.env.now())) })
    },
  )
  .post(
    '/',
    may('doors:write'),
    doc('doors', 'Add a door: a relay or lock of its own, which readers open that name it', {
      status: 201,
      schema: Door,
    }),
    body(NewDoor),
    async (c) => {
      const door = c.req.valid('json')
      refuseDoorMistakes(door)
      const row = await audited(c, 'doors.create', async (tx) => {
        await refuseDoorClashes(tx, door)
        return added(tx, table, 'door', door)
      })
      return c.json(row, 201)
    },
  )
  .get('/:id', may('doors:read'), doc('doors', 'One door', { schema: DoorWithState }), param('id'), async (c) => {
    const { id } = c.req.valid('param')
    const [row] = await withStates(c.env.db, c.env.now()).where(eq(table.id, id))
    return c.json(shown(found(row, 'door'), c.env.now()))
  })
  .patch(
    '/:id',
    may('doors:write'),
    doc('doors', 'Change a door; `settings` are replaced as a whole', { schema: Door }),
    param('id'),
    body(change(fields)),
    async (c) => {
      const { id } = c.req.valid('param')
      const input = c.req.valid('json')
      const row = await audited(c, 'doors.update', async (tx) => {
        if ('profile' in input || 'settings' in input) {
          const before = await locked(tx, table, 'door', id)
          const door = { ...before, ...(input as Partial<typeof before>) }
          refuseDoorMistakes(door)
          await refuseDoorClashes(tx, door)
        }
        return changed(tx, table, 'door', id, input)
      })
      return c.json(row)
    },
  )
  .delete(
    '/:id',
    may('doors:write'),
    doc('doors', 'Delete a door that no reader opens', { status: 204 }),
    param('id'),
    async (c) => {
      const { id } = c.req.valid('param')
      await audited(c, 'doors.delete', (tx) => removed(tx, table, 'door', id))
      return c.body(null, 204)
    },
  )
