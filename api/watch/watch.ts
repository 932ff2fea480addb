import type { Platform } from '../platform.ts'

/** Looks through what was recorded since it last looked, and raises alerts. Never throws: it looks again in a moment. */
export const watch = async (_: Platform): Promise<void> => {}
