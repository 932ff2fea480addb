import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { vi } from 'vitest'
import { APP_KEY, type Client, type Fetch, overHttp } from './api.ts'
import { whenFileEnds } from './endings.ts'

export type Running = {
  child: ChildProcess
  text(): string
  says(what: RegExp): Promise<RegExpMatchArray>
  /** Resolves when it has ended, by itself or by a signal. */
  ends(): Promise<{ code: number | null; said: string }>
}

/** A process of ours as an operator would start it, in this folder or in another one with a Lintel; ended with the file's tests. */
export const startProcess = (file: string, env: Record<string, string>, cwd = process.cwd()): Running => {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(process.execPath, ['--import', './api/compile-cache.mjs', file], {
    cwd,
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close')
  const said: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => said.push(text.toString()))
  const text = () => said.join('')
  whenFileEnds(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const says = (what: RegExp) =>
    vi.waitFor(
      () => {
        const match = text().match(what)
        if (!match) throw new Error(`${file} never said ${what}; it said:\n${text()}`)
        return match
      },
      { timeout: 60_000, interval: 20 },
    )
  const ends = async () => {
    await ended
    return { code: child.exitCode, said: text() }
  }
  return { child, text, says, ends }
}

export type ApiProcess = Running & { url: string; fetch: Fetch; owner: Client; token: string; refreshToken: string }

const OWNER = { email: 'owner@example.org', password: 'correct horse battery staple' }

/** `npm run api` on a database and at a free port, with its first account signed in. */
export const startApiProcess = async (
  databaseUrl: string,
  env: Record<string, string> = {},
  cwd?: string,
): Promise<ApiProcess> => {
  const first = { ADMIN_EMAIL: OWNER.email, ADMIN_PASSWORD: OWNER.password }
  const running = startProcess('api/node.ts', { APP_KEY, DATABASE_URL: databaseUrl, PORT: '0', ...first, ...env }, cwd)
  const [, url = ''] = await running.says(/listens at (http:\S+)/)
  const fetchThere: Fetch = (path, init) => fetch(url + path, init)
  const { body } = await overHttp(fetchThere).post('/login', OWNER)
  const [token, refreshToken] = [String(body['access_token']), String(body['refresh_token'])]
  return { ...running, url, fetch: fetchThere, owner: overHttp(fetchThere, token), token, refreshToken }
}
