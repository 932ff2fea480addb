import { join } from 'node:path'
import * as v from 'valibot'
import { SiteDoor, SiteReader } from '../api/contract/site.ts'
import { type Api, askForSite } from './ask.ts'
import type { Link } from './link.ts'
import { type Log, nameOf } from './log.ts'
import { sealedFile } from './sealed-file.ts'

/** How often the bridge asks whether anything has changed. Milliseconds. */
const EVERY_MS = 2_000

const Kept = v.object({ version: v.string(), readers: v.array(SiteReader), doors: v.optional(v.array(SiteDoor), []) })

export type Site = {
  /** Ask now, not only when it is time. True once an answer is in force that was asked for after this call. */
  look(): Promise<boolean>
  /** The one that is in force here. */
  version(): string | undefined
  stop(): void
}

type Told = {
  /** All readers and doors, at first and whenever one of them changes. */
  site(readers: SiteReader[], doors: SiteDoor[]): void
  /** The version of the facts that is in force, at each answer. */
  facts(version: string, at: Date): void
}

/** Keeps up with the site; at first with what is on disk from before, so that a start needs no network. */
export const followSite = async (api: Api, folder: string, link: Link, log: Log, tell: Told): Promise<Site> => {
  const file = sealedFile(join(folder, 'site'), api.key, 'site')
  let version: string | undefined
  let trouble: string | undefined
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  const known = await file.read()
  const before = known && v.safeParse(Kept, JSON.parse(known.toString()))
  if (before?.success) {
    version = before.output.version
    tell.site(before.output.readers, before.output.doors)
    log('info', 'site', { readers: before.output.readers.length, from: 'disk' })
  }

  const ask = async () => {
    const site = await askForSite(api, version)
    if (trouble !== undefined) log('info', 'api_back')
    trouble = undefined
    link.up()
    if (stopped) return
    if (site.readers) {
      const { readers, doors = [] } = site
      tell.site(readers, doors)
      version = site.version
      log('info', 'site', { readers: readers.length, from: 'api' })
      await file
        .write(Buffer.from(JSON.stringify({ version, readers, doors })))
        .catch((error: unknown) => log('warn', 'site_not_kept', { error: nameOf(error) }))
    }
    tell.facts(site.snapshot, new Date(site.now))
  }

  const lookOnce = async (): Promise<boolean> => {
    clearTimeout(timer)
    if (stopped) return false
    const applied = await ask().then(
      () => true,
      (error: unknown) => {
        link.failed(error)
        const now = nameOf(error)
        const say = SAY[now] ?? `The API at ${api.url} does not answer; trying again.`
        if (now !== trouble) log('warn', 'api_away', { error: now, say })
        trouble = now
        return false
      },
    )
    if (!stopped) timer = setTimeout(() => void look(), EVERY_MS * (0.9 + Math.random() * 0.2))
    return applied
  }

  /** One at a time. Whoever comes while one is under way is told by the next: that one may have been asked too early. */
  let current: Promise<boolean> | undefined
  let next: Promise<boolean> | undefined
  const look = (): Promise<boolean> => {
    if (current !== undefined) {
      next ??= current.then(() => {
        next = undefined
        return look()
      })
      return next
    }
    current = lookOnce().finally(() => {
      current = undefined
    })
    return current
  }
  void look()

  return {
    look,
    version: () => version,
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
