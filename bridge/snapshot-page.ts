import * as v from 'valibot'
import { SnapshotPage, SnapshotRow, SnapshotSite } from '../api/contract/snapshot.ts'
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

/** What `v.parse(SnapshotPage, value)` gives, or throws, but without keeping a scan waiting meanwhile. */
export const readPage = async (value: unknown): Promise<SnapshotPage> => {
  const pause = breath()
  const listOf = async <T extends v.GenericSchema>(item: T, list: unknown[]): Promise<v.InferOutput<T>[]> => {
    const read: v.InferOutput<T>[] = []
    for (const one of list) {
      read.push(v.parse(item, one))
      await pause()
    }
    return read
  }
  const page = v.parse(Outline, value)
  const { site, rows, ...more } = page
  return {
    ...more,
    ...(site && {
      site: {
        readers: await listOf(readers.item, site.readers),
        groups: await listOf(groups.item, site.groups),
        schedules: await listOf(schedules.item, site.schedules),
        rules: await listOf(rules.item, site.rules),
      },
    }),
    rows: await listOf(SnapshotRow, rows),
  }
}
