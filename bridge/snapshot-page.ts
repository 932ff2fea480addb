import * as v from 'valibot'
import { type SnapshotBuilder, SnapshotPage, SnapshotRow, SnapshotSite } from '../api/contract/snapshot.ts'
import { breath } from './breath.ts'

const { version, now, cards, next } = SnapshotPage.entries
const { readers, groups, schedules, rules } = SnapshotSite.entries

/** All of a page but its long lists, of which a large site has thousands of entries. */
const Outline = v.object({
  version,
  now,
  cards,
  next,
  rows: v.array(v.unknown()),
  site: v.optional(
    v.object({
      readers: v.array(v.unknown()),
      groups: v.array(v.unknown()),
      schedules: v.array(v.unknown()),
      rules: v.array(v.unknown()),
    }),
  ),
})

export type PageHead = Pick<SnapshotPage, 'version' | 'now' | 'cards' | 'next'>

/**
 * Checks a page as `v.parse(SnapshotPage, value)` would, or throws as that would, and adds it to what is being built: entry
 * by entry, so that it keeps no scan waiting and holds no second copy of it. When it throws, the building is of no use.
 */
export const takePage = async (value: unknown, building: SnapshotBuilder): Promise<PageHead> => {
  const pause = breath()
  const listOf = async <T extends v.GenericSchema>(item: T, list: unknown[]): Promise<v.InferOutput<T>[]> => {
    const read: v.InferOutput<T>[] = []
    for (const one of list) {
      read.push(v.parse(item, one))
      await pause()
    }
    return read
  }
  const { site, rows, ...head } = v.parse(Outline, value)
  const whole = site && {
    readers: await listOf(readers.item, site.readers),
    groups: await listOf(groups.item, site.groups),
    schedules: await listOf(schedules.item, site.schedules),
    rules: await listOf(rules.item, site.rules),
  }
  building.add({ version: head.version, ...(whole && { site: whole }), rows: [] })
  for (const row of rows) {
    building.addRow(v.parse(SnapshotRow, row))
    await pause()
  }
  return head
}
