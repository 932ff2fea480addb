import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import journal from '../../drizzle/meta/_journal.json' with { type: 'json' }
import { whenFileEnds } from './endings.ts'

const JOURNAL = 'drizzle/meta/_journal.json'

const run = promisify(execFile)
const git = async (...args: string[]): Promise<string> => (await run('git', args)).stdout.trim()

/** The commit before the newest migration came: the last one, while that is not committed yet. */
const commitBefore = async (migration: string): Promise<string> => {
  const [came] = (await git('log', '--format=%H', '--reverse', `-S"${migration}"`, '--', JOURNAL)).split('\n')
  return git('rev-parse', '--verify', came ? `${came}^` : 'HEAD')
}

/**
 * A folder with Lintel as it was before the newest migration, as it is still running somewhere while that is rolled out. Its
 * packages are today's. Gone when the file's tests end.
 */
export const previousVersion = async (): Promise<string> => {
  const newest = String(journal.entries.at(-1)?.tag)
  const commit = await commitBefore(newest).catch((error: unknown) => {
    throw new Error(
      `What was there before the migration ${newest} is not in git here, and this test runs it: clone the project with its ` +
        `whole history (git fetch --unshallow). git says: ${error instanceof Error ? error.message : error}`,
    )
  })
  const folder = await mkdtemp(join(tmpdir(), 'lintel-previous-'))
  whenFileEnds(() => rm(folder, { recursive: true, force: true }))
  await git('archive', '--format=tar', '--output', join(folder, 'lintel.tar'), commit)
  await run('tar', ['-xf', 'lintel.tar'], { cwd: folder })
  await symlink(resolve('node_modules'), join(folder, 'node_modules'))
  return folder
}
