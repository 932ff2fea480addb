import type { SiteReader } from '../api/contract/site.ts'
import { type Api, askForSite } from './ask.ts'
import { nameOf } from './bridge.ts'
import type { Log } from './log.ts'

/** How often the bridge asks whether anything has changed. Milliseconds. */
const EVERY_MS = 2_000

/** Keeps up with the site: `changed` is called with all readers, at first and whenever one of them changes. */
export const followSite = (api: Api, log: Log, changed: (readers: SiteReader[]) => void): { stop(): void } => {
  let version: string | undefined
  let trouble: string | undefined
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  const look = async () => {
    try {
      const site = await askForSite(api, version)
      if (trouble !== undefined) log('info', 'api_back')
      trouble = undefined
      if (site.readers && !stopped) {
        changed(site.readers)
        version = site.version
        log('info', 'site', { readers: site.readers.length })
      }
    } catch (error) {
      const now = nameOf(error)
      if (now !== trouble)
        log('warn', 'api_away', { error: now, say: SAY[now] ?? `The API at ${api.url} does not answer; trying again.` })
      trouble = now
    }
    if (!stopped) timer = setTimeout(() => void look(), EVERY_MS * (0.9 + Math.random() * 0.2))
  }
  void look()
  return {
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}

const SAY: Record<string, string> = {
  http_401:
    'The API does not know this bridge. Register it (POST /api/v1/bridges) and set BRIDGE_ID and BRIDGE_KEY; if both are right, compare the clocks.',
  http_404: 'API_URL is not the address of a Lintel API.',
}
