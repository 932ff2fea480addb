import type { IncomingHttpHeaders } from 'node:http'
import { BlockList, isIP } from 'node:net'
import * as v from 'valibot'

// Who is at the other end, as far as those say whom we trust. For Node: a Worker is told by Cloudflare.

const family = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

/** One spelling of an IP address: without port, brackets or zone, IPv4 as such. Undefined when it is none. */
export const oneSpelling = (text: string): string | undefined => {
  const bare = text
    .trim()
    .replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')
    .replace(/^\[([^\]]*)\](:\d+)?$/, '$1')
    .replace(/%.*$/, '')
  if (isIP(bare) !== 6) return isIP(bare) === 4 ? bare : undefined
  const short = new URL(`http://[${bare}]`).hostname.slice(1, -1)
  const [, high = '', low = ''] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(short) ?? []
  if (high === '') return short
  return [high, low].flatMap((part) => [Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255]).join('.')
}

const isNetwork = (text: string): boolean => {
  const [address = '', length, ...rest] = text.split('/')
  if (isIP(address) === 0 || rest.length > 0) return false
  if (length === undefined) return true
  // A prefix of 0 would trust everybody.
  return /^\d{1,3}$/.test(length) && Number(length) >= 1 && Number(length) <= (isIP(address) === 6 ? 128 : 32)
}

/** TRUSTED_PROXIES: addresses and CIDR networks, separated by commas. */
export const Proxies = v.pipe(
  v.string(),
  v.transform((list) =>
    list
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== ''),
  ),
  v.array(v.pipe(v.string(), v.check(isNetwork, 'an address or a network'))),
  v.transform((networks) => {
    const list = new BlockList()
    for (const network of networks) {
      const [address = '', length] = network.split('/')
      if (length === undefined)
        list.addAddress(oneSpelling(address) ?? address, family(oneSpelling(address) ?? address))
      else list.addSubnet(address, Number(length), family(address))
    }
    return list
  }),
)

/** More hops than anybody has. */
const MOST_HOPS = 32

type Incoming = {
  headers: IncomingHttpHeaders
  socket: { remoteAddress?: string | undefined; encrypted?: boolean }
}

/**
 * Where a request comes from: the socket's other end, or, when that is a trusted proxy, the right-most entry of
 * X-Forwarded-For that is not one. What stands left of that, or makes no sense, anybody may have written.
 */
export const cameFrom = (
  proxies: BlockList,
  { headers, socket }: Incoming,
): { address: string | null; https: boolean } => {
  const isProxy = (address: string) => proxies.check(address, family(address))
  const neighbour = oneSpelling(socket.remoteAddress ?? '')
  const encrypted = socket.encrypted === true
  if (neighbour === undefined || !isProxy(neighbour)) return { address: neighbour ?? null, https: encrypted }

  const told = (name: string) => String(headers[name] ?? '').split(',')
  const https = encrypted || told('x-forwarded-proto').at(-1)?.trim().toLowerCase() === 'https'
  let address = neighbour
  for (const entry of told('x-forwarded-for').slice(-MOST_HOPS).reverse()) {
    const hop = oneSpelling(entry)
    if (hop === undefined) break
    address = hop
    if (!isProxy(hop)) break
  }
  return { address, https }
}
