import { PATIENCE_MS, type Send } from '../platform.ts'
import { refusalOf, refused } from './address.ts'

/**
 * For Workers, where nobody can say which address a name leads to: what stands in the URL is looked at here, and where names
 * lead is the network's: a Worker's requests leave from Cloudflare's edge, which has no private network of ours behind it.
 */
export const byFetch: Send = async ({ url, headers, body }) => {
  if (refusalOf(url) !== undefined) throw refused()
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const response = await fetch(url, { method: 'POST', redirect: 'manual', signal, headers, body })
  await response.body?.cancel()
  return { status: response.status }
}
