/*
 * Standard Webhooks 1.0 (standardwebhooks.com): what is sent carries its id, the time of this try and an HMAC-SHA256 over
 * both and the body. Receivers verify it with any library of that name.
 */

const PREFIX = 'whsec_'

const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes))

/** 32 random bytes, as receivers are given them: `whsec_` and base64. */
export const newWebhookSecret = (): string => `${PREFIX}${base64(crypto.getRandomValues(new Uint8Array(32)))}`

/** The headers of one try. The id stays the same however often it is tried; the time is in whole seconds. */
export const signed = async (secret: string, id: string, at: Date, body: string): Promise<Record<string, string>> => {
  const bytes = Uint8Array.from(atob(secret.slice(PREFIX.length)), (letter) => letter.charCodeAt(0))
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  const seconds = String(Math.floor(at.getTime() / 1000))
  const mac = await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(`${id}.${seconds}.${body}`))
  return {
    'webhook-id': id,
    'webhook-timestamp': seconds,
    'webhook-signature': `v1,${base64(new Uint8Array(mac))}`,
  }
}
