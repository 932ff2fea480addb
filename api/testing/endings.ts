import { afterAll } from 'vitest'

/*
 * What a test file has started and must end. Vitest runs no `afterAll` that is called from within a `beforeAll`, so whoever
 * starts something there says here how it ends; this file is a setup file of the projects, and so runs before each test file.
 */

type End = () => unknown

// Test files share a process, and a setup file is run anew for each: only this is the same for all who import it.
const shared = globalThis as { lintelEndings?: End[] }
shared.lintelEndings ??= []

/** To be done when the tests of this file are over; what was said last is done first. */
export const whenFileEnds = (end: End): void => {
  shared.lintelEndings?.push(end)
}

afterAll(async () => {
  for (const end of shared.lintelEndings?.splice(0).reverse() ?? []) await end()
})
