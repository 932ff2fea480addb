import { once } from 'node:events'
import { chmodSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import * as v from 'valibot'
import { messageOf } from '../cause.ts'
import { SetupError } from '../contract/environment.ts'
import { TASKS } from '../db/schema.ts'
import { socketFolder } from '../embedded/postgres.ts'
import type { Platform } from '../platform.ts'
import { type Copy, copyEmbedded, removeCopies } from './embedded.ts'
import { type Note, write } from './note.ts'

// The embedded database belongs to one process. So that it can be backed up while that runs, the process makes the copy
// itself, when asked on a socket that only its owner can reach; a line of JSON asks and a line answers.

const Ask = v.variant('ask', [
  v.strictObject({ ask: v.literal('copy') }),
  v.strictObject({
    ask: v.literal('note'),
    note: v.strictObject({
      task: v.picklist(TASKS),
      at: v.pipe(v.string(), v.isoTimestamp()),
      error: v.optional(v.string()),
      detail: v.optional(v.record(v.string(), v.unknown())),
    }),
  }),
])
type Ask = v.InferOutput<typeof Ask>

const pathOf = (dataDir: string) => join(socketFolder(dataDir), 'backup.sock')

type Served = Pick<Platform, 'db' | 'log'>

/** Serves copies of the embedded database until it is closed. A copy is there for as long as who asked stays connected. */
export const serveCopies = async ({ db, log }: Served, dataDir: string): Promise<{ close(): Promise<void> }> => {
  await removeCopies(dataDir)
  const path = pathOf(dataDir)
  rmSync(path, { force: true })
  const sockets = new Set<Socket>()

  const answer = async (line: string, copies: string[]): Promise<unknown> => {
    const ask = v.parse(Ask, JSON.parse(line))
    if (ask.ask === 'note') {
      await write(db, ask.note)
      return {}
    }
    const copy = await copyEmbedded(db.$client, dataDir)
    copies.push(copy.folder)
    return copy
  }

  const server = createServer(async (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    const copies: string[] = []
    try {
      for await (const line of createInterface({ input: socket })) {
        socket.write(`${JSON.stringify(await answer(line, copies))}\n`)
      }
    } catch (error) {
      const why = messageOf(error)
      log('error', 'copy_failed', { error: why })
      socket.end(`${JSON.stringify({ error: why })}\n`)
    } finally {
      sockets.delete(socket)
      for (const folder of copies) await rm(folder, { recursive: true, force: true }).catch(() => {})
    }
  })
  server.listen(path)
  await once(server, 'listening')
  chmodSync(path, 0o600)
  return {
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

export type Running = { copy(): Promise<Copy>; note(note: Note): Promise<void>; close(): void }

/** The process that has the embedded database of DATA_DIR, or nothing when none does. */
export const callRunning = async (dataDir: string): Promise<Running | undefined> => {
  const socket = connect(pathOf(dataDir))
  try {
    await once(socket, 'connect')
  } catch {
    return undefined
  }
  socket.on('error', () => {})
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]()
  const call = async (ask: Ask): Promise<unknown> => {
    socket.write(`${JSON.stringify(ask)}\n`)
    const { value, done } = await lines.next()
    if (done) throw new SetupError('Lintel ended while the backup was being made.')
    const answer = JSON.parse(value)
    if (typeof answer.error === 'string') throw new SetupError(`Lintel could not copy its database: ${answer.error}.`)
    return answer
  }
  return {
    copy: async () => (await call({ ask: 'copy' })) as Copy,
    async note(note) {
      await call({ ask: 'note', note })
    },
    close: () => socket.destroy(),
  }
}
