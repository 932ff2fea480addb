import * as v from 'valibot'
import { ALARMS, CONTACTS } from '../contract/device-events.ts'
import type { doorStates, readerStates } from '../db/schema.ts'
import { time } from '../validate.ts'

/** How a device was when it last said so: null where it never did. It is no field of its own and nobody sets it. */
export const DeviceState = v.object({
  online: v.nullable(v.boolean()),
  lastSeenAt: v.nullable(time),
  contact: v.nullable(v.picklist(CONTACTS)),
  contactSince: v.nullable(time),
  tampered: v.nullable(v.boolean()),
  alarm: v.nullable(v.picklist(ALARMS)),
})

/**
 * The columns of a state, to be joined to the device's row; `of` is its id. That comes first: by the first column drizzle
 * tells a row that is not there from one whose columns are null.
 */
export const stateColumns = <T extends typeof doorStates | typeof readerStates, Of>(table: T, of: Of) => ({
  of,
  online: table.online,
  lastSeenAt: table.lastSeenAt,
  contact: table.contact,
  contactSince: table.contactSince,
  tampered: table.tampered,
  alarm: table.alarm,
})

/** Without the id by which it was joined; of a device that never said anything, nothing is known. */
export const shownState = <S extends { of: string | null }>(state: S | null) => {
  if (state === null) return UNKNOWN
  const { of: _, ...shown } = state
  return shown
}

const UNKNOWN = {
  online: null,
  lastSeenAt: null,
  contact: null,
  contactSince: null,
  tampered: null,
  alarm: null,
}
