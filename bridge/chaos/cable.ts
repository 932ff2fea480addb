import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export type Cable = {
  port: number
  /** Everything takes this much longer from now on, each way. Milliseconds. */
  slow(ms: number): void
  /** Bytes wait here, in both directions; nobody is told. */
  stall(): void
  /** Every connection ends, and new ones are refused. */
  cut(): void
  /** Every connection ends in the middle of a message, also those that are made anew: one message in `every` is the last. */
  cutMidMessage(every: number): void
  /** Connections end, and new ones lead to another port. */
  lead(port: number): void
  /** As if nothing had happened; what waited goes on its way. */
  mend(): void
  close(): Promise<void>
}

/** A TCP link between two processes that do not know of it. */
export const cableTo = async (target: number, random: () => number): Promise<Cable> => {
  const sockets = new Set<Socket>()
  let [delay, every, to] = [0, 0, target]
  let [isCut, isStalled] = [false, false]

  const endAll = () => {
    for (const socket of sockets) socket.destroy()
  }

  /** One direction. Chunks keep their order, and the end of a connection comes after them, whatever the delay does. */
  const carry = (from: Socket, onto: Socket) => {
    const waiting: { due: number; work: () => void }[] = []
    const pump = () => {
      while (waiting[0] && waiting[0].due <= performance.now()) waiting.shift()?.work()
      if (waiting[0]) setTimeout(pump, Math.max(1, waiting[0].due - performance.now()))
    }
    const later = (work: () => void) => {
      if (waiting.length === 0 && delay === 0) return work()
      const due = Math.max(performance.now() + delay, waiting.at(-1)?.due ?? 0)
      if (waiting.push({ due, work }) === 1) setTimeout(pump, delay)
      return undefined
    }
    sockets.add(from)
    from.on('data', (chunk) => {
      if (every > 0 && chunk.length > 1 && random() * every < 1) {
        onto.write(chunk.subarray(0, chunk.length >> 1))
        onto.end()
        from.destroy()
        return
      }
      later(() => onto.write(chunk))
    })
    from.on('end', () => later(() => onto.end()))
    // A reset stays a reset: it takes back what the other side has not read yet, where an end would not.
    from.on('error', () => onto.resetAndDestroy())
    from.on('close', () => {
      sockets.delete(from)
      later(() => onto.end())
    })
    if (isStalled) from.pause()
  }

  const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    // Whoever calls a port where nobody listens is refused; this is as near as a listening socket comes to it.
    if (isCut) return near.resetAndDestroy()
    const far = connect({ host: '127.0.0.1', port: to, noDelay: true, allowHalfOpen: true })
    carry(near, far)
    carry(far, near)
    return undefined
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()

  return {
    port: typeof address === 'object' && address ? address.port : 0,
    slow(ms) {
      delay = ms
    },
    stall() {
      isStalled = true
      for (const socket of sockets) socket.pause()
    },
    cut() {
      isCut = true
      endAll()
    },
    cutMidMessage(one) {
      every = one
    },
    lead(port) {
      to = port
      endAll()
    },
    mend() {
      if (to !== target) endAll()
      delay = 0
      every = 0
      to = target
      isCut = false
      isStalled = false
      for (const socket of sockets) socket.resume()
    },
    async close() {
      endAll()
      server.close()
      await once(server, 'close')
    },
  }
}
