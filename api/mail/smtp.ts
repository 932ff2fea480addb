import { createTransport } from 'nodemailer'
import { isLocal } from '../db/is-local.ts'
import type { Mail } from './mail.ts'

/**
 * Mail by SMTP (RFC 5321), for Node: `smtps://` speaks TLS at once, `smtp://` must be offered STARTTLS (RFC 3207), or
 * nothing is sent; only to this machine it may go in the clear.
 */
export const bySmtp = ({ url, from }: { url: string; from: string }): Mail => {
  const transport = createTransport({
    url,
    requireTLS: url.startsWith('smtp:') && !isLocal(url),
    connectionTimeout: 5_000,
    greetingTimeout: 5_000,
    socketTimeout: 10_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  return async ({ to, subject, text }) => {
    // As an object, so that nobody reads a list of addresses into it.
    await transport.sendMail({ from, to: { name: '', address: to }, subject, text })
  }
}
