import ipaddr from 'ipaddr.js'

/** Of Azure's own services on each of its machines: public by its number alone. */
const NEVER: readonly string[] = ['168.63.129.16']
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3')

/**
 * Is this an address on the public internet? Not so: this machine, private, link-local and shared ranges, multicast, what is
 * reserved, and what carries an IPv4 address inside it (mapped, NAT64, 6to4), which could be any of those.
 */
export const isPublic = (address: string): boolean => {
  if (ipaddr.IPv4.isValidFourPartDecimal(address)) {
    return ipaddr.IPv4.parse(address).range() === 'unicast' && !NEVER.includes(address)
  }
  if (!address.includes(':') || !ipaddr.IPv6.isValid(address)) return false
  const ip = ipaddr.IPv6.parse(address)
  return ip.range() === 'unicast' && ip.match(GLOBAL_UNICAST)
}

/** Names that lead nowhere but to this machine or this network: one word, and those that are kept for it (RFC 6761, 6762, 8375, ICANN's `internal`). */
const LOCAL_NAME = /^[^.]*$|(^|\.)(localhost|local|internal|home\.arpa|localdomain|lan|intranet)$/

/** The host of a URL as WHATWG's parser has it, which makes `0x7f.1` and `2130706433` what they are: 127.0.0.1. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')

/** Why nothing is sent to this URL whatever its name leads to, as a sentence; undefined where nothing speaks against it. */
export const refusalOf = (text: string): string | undefined => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:') return 'must be an address such as https://example.org/lintel'
  if (url.username !== '' || url.password !== '') return 'must not carry a name or a password'
  if (url.hash !== '') return 'must not have a fragment (#)'
  // WHATWG: no port is 443.
  if (url.port !== '' && Number(url.port) < 1024) return 'must use port 443, or one from 1024 on'
  const host = hostOf(url)
  const reaches = ipaddr.isValid(host) ? isPublic(host) : !LOCAL_NAME.test(host)
  return reaches ? undefined : 'must be on the public internet: nothing is sent to private addresses'
}

/** What is thrown where something may not be sent. */
export const refused = (): Error => Object.assign(new Error('not a public address'), { code: 'ADDRESS_REFUSED' })
