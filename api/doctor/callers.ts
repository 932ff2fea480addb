import { type Heard, header } from './ask.ts'
import { fault, type Line, ok, unseen, warning } from './line.ts'

// Who is counted how often: by the RateLimit headers of a few requests that do nothing.

export type Count = { most: number; left: number }

/** What RateLimit headers (per-minute.ts) say; undefined where there are none. */
export const countIn = (heard: Pick<Heard, 'headers'>): Count | undefined => {
  const [, most] = /;q=(\d+)/.exec(header(heard, 'ratelimit-policy') ?? '') ?? []
  const [, left] = /;r=(\d+)/.exec(header(heard, 'ratelimit') ?? '') ?? []
  return most === undefined || left === undefined ? undefined : { most: Number(most), left: Number(left) }
}

export const rateLimit = (count: Count | undefined): Line =>
  count
    ? ok('rate-limit', `${count.most} requests in a minute, then no more.`)
    : fault('rate-limit', 'Nobody is limited.', 'RATE_LIMIT_PER_MINUTE=6000')

/**
 * Was what we wrote into X-Forwarded-For believed? An address that was never seen has all of a minute's requests left but
 * one; if each made-up one has, it was counted as itself. Undefined where that tells nothing: nobody counts, or so many
 * processes do that our own address was new to each, too.
 */
export const believed = (plain: readonly (Count | undefined)[], madeUp: readonly (Count | undefined)[]) => {
  const isNew = (count: Count | undefined) => count !== undefined && count.left >= count.most - 1
  if (![...plain, ...madeUp].every((count) => count !== undefined)) return undefined
  if (!madeUp.every(isNew)) return false
  return plain.every(isNew) ? undefined : true
}

export type ProxiesFound = {
  believed: boolean | undefined
  /** TRUSTED_PROXIES is set. */
  set: boolean
  /** We ourselves ask from an address that is trusted: then what we say is rightly believed. */
  weAreTrusted: boolean
  /** Is something in front that takes the address of everybody? Not so on Workers. */
  behindProxy: boolean
}

export const trustedProxies = ({ believed, set, weAreTrusted, behindProxy }: ProxiesFound): Line => {
  const check = 'trusted-proxies'
  const replace = 'Have the proxy replace X-Forwarded-For, and name it alone in TRUSTED_PROXIES'
  if (behindProxy && !set)
    return fault(
      check,
      'To the API everybody comes from the proxy: whoever guesses locks out all.',
      'TRUSTED_PROXIES=(the proxy)',
    )
  if (believed === true && weAreTrusted)
    return unseen(check, 'this machine is trusted, and so is what it says. Ask from elsewhere.', replace)
  if (believed === true) return fault(check, 'An address that a client makes up is believed.', replace)
  if (believed === undefined) return unseen(check, 'nothing counts by address.', 'RATE_LIMIT_PER_MINUTE=6000')
  return warningWhenUseless({ set, behindProxy })
}

const warningWhenUseless = ({ set, behindProxy }: Pick<ProxiesFound, 'set' | 'behindProxy'>): Line =>
  set && !behindProxy
    ? warning('trusted-proxies', 'TRUSTED_PROXIES is set, and nothing is seen in front.', 'TRUSTED_PROXIES=')
    : ok('trusted-proxies', 'An address that a client makes up is not believed.')
