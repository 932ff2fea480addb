import { once } from 'node:events'
import { createServer, isIP, type Socket } from 'node:net'
import { Aedes, type Client } from 'aedes'
import { type Account, may, mayBeCalled } from '../broker/rules.ts'
import { SetupError } from '../contract/environment.ts'
import type { Doorkeeper } from './doorkeeper.ts'

export type Broker = { url: string; port: number; close(): Promise<void> }

/** What a door or a reader has to say is shorter. Bytes of a whole packet; who sends a longer one is hung up on. */
const MOST_BYTES = 256 * 1024
const MOST_CLIENTS = 2_000
/** How long a connection may say nothing before it says who it is. Milliseconds. */
const CONNECT_MS = 10_000

/**
 * Where a message goes that is not allowed: nobody hears what is the broker's own. Firmwares publish more than they must, and
 * one that is hung up on for it would come back at once, again and again.
 */
const NOWHERE = '$refused'

/** Only what listens to this machine alone may let in whoever comes. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))

const isOfBroker = (topic: string): boolean => topic.startsWith('$')

/**
 * An MQTT broker in this process, on `wanted` or the next free port. Accounts are held to their rules, in which they stand
 * at each message. Whoever comes without one is let in only where the broker listens to this machine alone, and may do
 * everything there but what nobody may.
 */
export const startEmbeddedBroker = async (wanted: number, host: string, doorkeeper: Doorkeeper): Promise<Broker> => {
  /** Who came, by the connection; null is somebody without an account. */
  const came = new WeakMap<Client, Account | null>()
  const connected = new Map<string, Client>()
  const anonymous = isLoopback(host)

  const whoIs = async (client: Client, username: string | undefined, password: string) => {
    if (username === undefined) return anonymous ? null : undefined
    const account = doorkeeper.rules().accounts.get(username)
    const known = await doorkeeper.isPassword(account, password)
    return account && known && mayBeCalled(account, client.id) ? account : undefined
  }

  /** A client id that is connected belongs to whoever came with it: nobody else takes its place, or what waits for it. */
  const isAnothers = (client: Client, who: Account | null): boolean => {
    const there = connected.get(client.id)
    return there !== undefined && there !== client && came.get(there)?.username !== who?.username
  }

  const mayPublish = (client: Client, topic: string, retain: boolean): boolean => {
    const rules = doorkeeper.rules()
    const who = came.get(client)
    if (who) return may(rules, who.username, 'publish', topic, { retain })
    return who === null && !isOfBroker(topic) && !(retain && rules.told.topics.has(topic))
  }

  const mayHear = (client: Client, filter: string): boolean => {
    const who = came.get(client)
    if (who) return may(doorkeeper.rules(), who.username, 'subscribe', filter)
    return who === null && !isOfBroker(filter)
  }

  const aedes = await Aedes.createBroker({
    connectTimeout: CONNECT_MS,
    maxClientsIdLength: 128,
    preConnect: (_client, packet, done) => {
      // What opens a door must not wait for a device that is away: only a bridge has a session that is kept.
      if (!packet.clientId.startsWith('lintel-')) packet.clean = true
      done(null, aedes.connectedClients < MOST_CLIENTS)
    },
    authenticate: (client, username, password, done) => {
      void whoIs(client, username, password?.toString('utf8') ?? '')
        .catch(() => undefined)
        .then((who) => {
          const known = who !== undefined && !isAnothers(client, who)
          if (known) came.set(client, who)
          done(null, known)
        })
    },
    // Of wills too, when they are due.
    authorizePublish: (client, packet, done) => {
      if (!client || !mayPublish(client, packet.topic, packet.retain)) {
        Object.assign(packet, { topic: NOWHERE, payload: Buffer.alloc(0), retain: false })
      }
      done(null)
    },
    authorizeSubscribe: (client, subscription, done) =>
      done(null, mayHear(client, subscription.topic) ? subscription : null),
    authorizeForward: (client, packet) => (mayHear(client, packet.topic) ? packet : null),
  })
  aedes.on('clientReady', (client) => void connected.set(client.id, client))
  aedes.on('clientDisconnect', (client) => {
    if (connected.get(client.id) === client) connected.delete(client.id)
  })
  doorkeeper.onChange((rules) => {
    for (const client of connected.values()) {
      const who = came.get(client)
      const now = who && rules.accounts.get(who.username)
      if (who && !now?.generations.some((one) => who.generations.includes(one))) client.close()
    }
  })

  // Without no-delay each answer to a reader would wait for a delayed ACK, some 40 ms on Linux.
  const server = createServer({ noDelay: true }, (socket) => bound(aedes.handle(socket), socket))
  const port = await listen(server, wanted, host)
  return {
    port,
    url: `mqtt://${reachedAt(host)}:${port}`,
    async close() {
      await new Promise<void>((done) => aedes.close(done))
      server.close()
    },
  }
}

type Parser = { parse(bytes: Buffer): number; packet: { length: number } }

/** Hang up on whoever announces a packet that is too long, before it is there: the parser would keep up to 256 MiB of it. */
const bound = (client: Client, socket: Socket): void => {
  const parser = (client as unknown as { _parser: Parser })._parser
  const parse = parser.parse.bind(parser)
  parser.parse = (bytes) => {
    const left = parse(bytes)
    if (parser.packet.length > MOST_BYTES) socket.destroy()
    return left
  }
}

/** Where a broker that listens there is reached from this machine. */
const reachedAt = (host: string): string => {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}

const listen = async (server: ReturnType<typeof createServer>, wanted: number, host: string): Promise<number> => {
  for (let port = wanted; port < wanted + 100 && port < 65_536; port++) {
    server.listen(port, host)
    const outcome = await Promise.race([
      once(server, 'listening').then(() => undefined),
      once(server, 'error').then(([error]) => error as NodeJS.ErrnoException),
    ]).catch((error: NodeJS.ErrnoException) => error)
    if (!outcome) return port
    if (outcome.code === 'EADDRNOTAVAIL' || outcome.code === 'ENOTFOUND') {
      throw new SetupError(`MQTT_HOST (${host}) is no address of this machine (${outcome.code}).`)
    }
    if (outcome.code !== 'EADDRINUSE' && outcome.code !== 'EACCES') throw outcome
  }
  throw new SetupError(`No port for the broker is free from ${wanted} on. Set MQTT_PORT to one that is.`)
}
