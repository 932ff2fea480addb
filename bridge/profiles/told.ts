import type { Profile, Setting } from './profile.ts'

const accessList: Setting = {
  kind: 'boolean',
  says: 'Tell the device whom to let in, so that its own list follows Lintel. This hands card numbers to it, through the broker. Off unless set.',
}

/** A reader that can be told whom to let in is told only where somebody wants it: every such profile has this setting. */
export const told = (profile: Profile): Profile =>
  profile.accessList?.add ? { ...profile, settings: { ...profile.settings, accessList } } : profile
