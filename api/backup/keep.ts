import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'

const NAME = /^lintel-(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)Z\.backup(\.partial)?$/

const DAY_MS = 86_400_000

/** `lintel-2026-11-25T00-00-00Z.backup`: in the order of names is in the order of time. */
export const nameOf = (at: Date): string => `lintel-${at.toISOString().slice(0, 19).replaceAll(':', '-')}Z.backup`

const timeOf = (name: string): number => {
  const [, day, hour, minute, second] = NAME.exec(name) ?? []
  return Date.parse(`${day}T${hour}:${minute}:${second}Z`)
}

/** The newest backup of a folder, by its name. */
export const newestIn = async (folder: string): Promise<string | undefined> => {
  const names = existsSync(folder) ? await readdir(folder) : []
  const name = names
    .filter((name) => NAME.test(name) && !name.endsWith('.partial'))
    .sort()
    .at(-1)
  return name === undefined ? undefined : join(folder, name)
}

/**
 * Removes what is older than so many days before the backup that was just made, and what was begun a day ago and never
 * became one. Only files that are named as ours, and nothing unless `last` is there: so the last good one always stays.
 */
export const removeOldBackups = async (last: string, days: number): Promise<string[]> => {
  const folder = join(last, '..')
  if (!existsSync(last)) return []
  const now = timeOf(basename(last))
  const isOld = (name: string) => now - timeOf(name) > (name.endsWith('.partial') ? 1 : days) * DAY_MS
  const old = (await readdir(folder)).filter((name) => NAME.test(name) && isOld(name)).sort()
  for (const name of old) await rm(join(folder, name))
  return old
}
