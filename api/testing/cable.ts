import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export type Cable = {
  port: number
  /** Bytes wait here from now on, in both directions; nobody is told. */
  stall(): void
  /** What waits goes on its way. */
  flow(): void
  /** Every connection ends, and new ones are refused until `flow`. */
  cut(): void
  close(): Promise<void>
}

/** A TCP connection that can be made slow, or cut, between two processes that do not know of it. */
export const proxyTo = async (host: string, target: number): Promise<Cable> => {
  const sockets = new Set<Socket>()
  let isCut = false
  let isStalled = false
  const server = createServer({ noDelay: true }, (near) => {
    if (isCut) return near.destroy()
    const far = connect({ host, port: target, noDelay: true })
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (chunk) => to.write(chunk))
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      if (isStalled) from.pause()
    }
    return undefined
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    stall() {
      isStalled = true
      for (const socket of sockets) socket.pause()
    },
    flow() {
      isStalled = false
      isCut = false
      for (const socket of sockets) socket.resume()
    },
    cut() {
      isCut = true
      for (const socket of sockets) socket.destroy()
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
