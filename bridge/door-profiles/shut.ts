import type { Effect, Effects, Setting } from '../profiles/profile.ts'

/** Of a device that stays open by what opens it. */
export const shut: Setting = {
  kind: 'boolean',
  says: 'Shut it again by a second message when its time is over, for a device that does not do so by itself.',
}

/** Opens, and shuts again when the time is over where the setting `shut` says so. */
export const openThenShut = (open: Effect, then: Effect): Effects => [
  [open, { ...then, needs: [...(then.needs ?? []), 'shut'], afterMs: '{openMs}' }],
  [open],
]
