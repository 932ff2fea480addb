import { Hono } from 'hono'
import * as v from 'valibot'
import { CARD_VIEWS } from '../contract/card-views.ts'
import { DOORS } from '../contract/doors.ts'
import { PROFILES } from '../contract/profiles.ts'
import { doc } from '../docs.ts'
import { may } from '../login/guard.ts'
import type { AppEnv } from '../platform.ts'

const Setting = v.object({
  kind: v.string(),
  says: v.string(),
  required: v.optional(v.boolean()),
  default: v.optional(v.union([v.string(), v.number(), v.boolean()])),
  choices: v.optional(v.array(v.string())),
  min: v.optional(v.number()),
  max: v.optional(v.number()),
})

const Profile = v.object({
  name: v.string(),
  title: v.string(),
  decides: v.picklist(['lintel', 'reader', 'either']),
  topics: v.array(v.string()),
  refuses: v.record(v.string(), v.string()),
  unit: v.boolean(),
  views: v.array(v.picklist(CARD_VIEWS)),
  keypad: v.picklist(['none', 'with-card', 'alone']),
  settings: v.record(v.string(), Setting),
})

const Profiles = v.object({ items: v.array(Profile) })

const DoorProfile = v.object({
  name: v.string(),
  title: v.string(),
  settings: v.record(v.string(), Setting),
  /** It can be kept open by one message, and let go by another; else it is opened again and again. */
  holds: v.boolean(),
})

const DoorProfiles = v.object({ items: v.array(DoorProfile) })

/** They are the same until the next version of Lintel. */
const shown = v.parse(Profiles, { items: PROFILES })
const shownDoors = v.parse(DoorProfiles, { items: DOORS })

/** What kinds of readers there are, for whoever builds a form. */
export const profiles = new Hono<AppEnv>().get(
  '/',
  may('readers:read'),
  doc('readers', 'The kinds of readers: their topics, their card views (the first is the default) and settings', {
    schema: Profiles,
    refusals: [401, 403],
  }),
  (c) => c.json(shown),
)

/** The same of doors. */
export const doorProfiles = new Hono<AppEnv>().get(
  '/',
  may('doors:read'),
  doc('doors', 'The kinds of doors: their settings, and whether they can be held open', {
    schema: DoorProfiles,
    refusals: [401, 403],
  }),
  (c) => c.json(shownDoors),
)
