import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

/*
 * What an image is made of, without Docker: an overlay over this machine's root, whose changes are kept in a folder, and a
 * chroot into it, in a mount namespace of its own. It needs root and Linux; nothing of this machine changes.
 */

export type Layer = { folder: string }

export const newLayer = (folder: string): Layer => {
  for (const name of ['upper', 'work', 'root']) mkdirSync(join(folder, name), { recursive: true })
  return { folder }
}
export const filesOf = ({ folder }: Layer): string => join(folder, 'upper')

export type Run = {
  user: string
  cwd: string
  env: Record<string, string>
  /** Read-only but for /tmp, which is empty, and these: path inside, folder outside. */
  writable?: Record<string, string>
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`

/** Starts a process in it; each has its own view, and the pid is that of the process itself. */
export const startIn = (layer: Layer, argv: string[], { user, cwd, env, writable }: Run): ChildProcess => {
  const { folder } = layer
  const root = join(folder, 'root')
  const options = `${writable ? 'ro' : 'rw'},lowerdir=/,upperdir=${filesOf(layer)},workdir=${join(folder, 'work')}`
  const given = Object.entries(env).map(([name, value]) => quoted(`${name}=${value}`))
  const script = [
    `mount -t overlay overlay -o ${options} ${root}`,
    `mount --rbind /dev ${root}/dev`,
    `mount -t proc proc ${root}/proc`,
    `mount -t tmpfs -o mode=1777 tmpfs ${root}/tmp`,
    ...Object.entries(writable ?? {}).map(([inside, outside]) => `mount --bind ${outside} ${root}${inside}`),
    `exec chroot --userspec=${user} --groups= ${root} /usr/bin/env -i ${given.join(' ')} sh -c ${quoted(`cd ${cwd} && exec "$@"`)} sh ${argv.map(quoted).join(' ')}`,
  ]
  return spawn('unshare', ['--mount', 'sh', '-ec', script.join('\n')], { stdio: ['ignore', 'pipe', 'pipe'] })
}

export type Outcome = { code: number | null; said: string }

export const outcomeOf = async (child: ChildProcess): Promise<Outcome> => {
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => (said += text))
  const [code] = await once(child, 'close')
  return { code, said }
}
