import { once } from 'node:events'
import { createServer } from 'node:net'
import { Aedes } from 'aedes'
import { SetupError } from '../contract/environment.ts'

export type Broker = { url: string; port: number; close(): Promise<void> }

/** It asks nobody for a password, so it listens to this machine only. Readers on a wall want a broker of their own. */
const HOST = '127.0.0.1'

/** An MQTT broker in this process, on `wanted` or the next free port. */
export const startEmbeddedBroker = async (wanted: number): Promise<Broker> => {
  const aedes = await Aedes.createBroker()
  // Without no-delay each answer to a reader would wait for a delayed ACK, some 40 ms on Linux.
  const server = createServer({ noDelay: true }, aedes.handle)
  const port = await listen(server, wanted)
  return {
    port,
    url: `mqtt://${HOST}:${port}`,
    async close() {
      await new Promise<void>((done) => aedes.close(done))
      server.close()
    },
  }
}

const listen = async (server: ReturnType<typeof createServer>, wanted: number): Promise<number> => {
  for (let port = wanted; port < wanted + 100 && port < 65_536; port++) {
    server.listen(port, HOST)
    const outcome = await Promise.race([
      once(server, 'listening').then(() => undefined),
      once(server, 'error').then(([error]) => error as NodeJS.ErrnoException),
    ]).catch((error: NodeJS.ErrnoException) => error)
    if (!outcome) return port
    if (outcome.code !== 'EADDRINUSE' && outcome.code !== 'EACCES') throw outcome
  }
  throw new SetupError(`No port for the broker is free from ${wanted} on. Set MQTT_PORT to one that is.`)
}
