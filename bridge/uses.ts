import type { Profile } from './profiles/profile.ts'

/** Whether what opens a door of this profile has a variable in it. */
const uses = (variable: string): ((profile: Profile) => boolean) => {
  const place = new RegExp(`\\{${variable}(:\\w+)?\\}`)
  const known = new WeakMap<Profile, boolean>()
  return (profile) => {
    const found = known.get(profile) ?? place.test(JSON.stringify(profile.grant))
    known.set(profile, found)
    return found
  }
}

/** Devices that take only what names their own address. */
export const needsAddress = uses('ip')

/** Whose card it is goes over the wire only where somebody wants to see it. */
export const wantsName = uses('name')
