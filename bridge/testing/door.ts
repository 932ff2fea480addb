import type { SiteDoor } from '../../api/contract/site.ts'

/** A door with nothing ordered of it but what is told. */
export const siteDoor = (told: Pick<SiteDoor, 'id' | 'profile' | 'settings'> & Partial<SiteDoor>): SiteDoor => ({
  name: 'Front door',
  timezone: 'UTC',
  openMs: 3000,
  heldOpenMs: 30_000,
  preAlarmMs: 10_000,
  hold: null,
  mode: 'scheduled',
  modeUntil: null,
  lockdown: null,
  evacuation: null,
  homeAssistant: 'off',
  ...told,
})
