import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** `Z`, ReadyForQuery, and its status when no transaction is open (PostgreSQL protocol 3.0, message formats). */
const READY = 0x5a
const IDLE = 0x49

/** Calls `ready` for each ReadyForQuery outside a transaction in a stream of server messages, however it is cut up. */
const watchForIdle = (ready: () => void) => {
  let rest = Buffer.alloc(0)
  return (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 5) {
      const end = 1 + rest.readInt32BE(1)
      if (rest.length < end) return
      if (rest[0] === READY && rest[5] === IDLE) ready()
      rest = rest.subarray(end)
    }
  }
}

/**
 * PGlite is one session, whoever is connected: between one client's Parse and its Bind another client's Parse may come,
 * and the first then runs the other's statement. So here a client that begins to speak is heard out, until the server
 * says that it is idle again, before the next one is.
 */
export const oneAtATime = async (target: number): Promise<{ port: number; close(): Promise<void> }> => {
  let speaking: Socket | undefined
  const turns: (() => void)[] = []
  const sockets = new Set<Socket>()
  const next = () => {
    speaking = undefined
    turns.shift()?.()
  }

  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: '127.0.0.1', port: target, noDelay: true })
    let held: Buffer[] = []
    const speak = () => {
      if (near.destroyed) return next()
      speaking = near
      for (const chunk of held) far.write(chunk)
      held = []
    }
    near.on('data', (chunk) => {
      if (speaking === near) return far.write(chunk)
      held.push(chunk)
      if (held.length === 1) turns.push(speak)
      if (speaking === undefined) turns.shift()?.()
      return true
    })
    const watch = watchForIdle(() => speaking === near && next())
    far.on('data', (chunk: Buffer) => {
      near.write(chunk)
      watch(chunk)
    })
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
        if (speaking === near) next()
      })
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
