import { refuse } from '../errors.ts'
import type { Platform } from '../platform.ts'

/** A mail to one address, as plain text. */
export type Message = { to: string; subject: string; text: string }

/** Hands a mail over to whoever delivers it; rejects when they did not take it. */
export type Mail = (message: Message) => Promise<void>

/** For development, where nobody delivers: the link goes to the log, to be opened by whoever runs this. */
export const printed =
  (log: Platform['log']): Mail =>
  async ({ text }) => {
    const [link] = /\S+#\S+/.exec(text) ?? []
    log('info', 'mail_link', { link, say: 'Mail is off, so here is its link. For development only.' })
  }

/** Send, and say in the log when that did not work: never to whom, nor what. True when it was taken. */
export const send = async ({ mail, log }: Platform, message: Message): Promise<boolean> => {
  try {
    await mail?.(message)
    return mail !== undefined
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
    log('error', 'mail_failed', { error: error instanceof Error ? error.name : 'unknown', code })
    return false
  }
}

/** For what cannot be done without mail. */
export const requireMail = ({ mail }: Platform): void => {
  if (!mail) refuse(503, 'Mail is off: set SMTP_URL or MAIL_HOOK_URL, or give the account a password.')
}

const LASTS = { invitation: '72 hours', reset: '30 minutes' }

const OPENINGS = {
  invitation: {
    subject: 'Your account for Lintel',
    why: 'An account of Lintel was made for this address. Choose its password to begin.',
    not: 'If this says nothing to you, ignore it: without a password nobody can sign in.',
  },
  reset: {
    subject: 'A new password for Lintel',
    why: 'Somebody asked for a new password for your account of Lintel.',
    not: 'If that was not you, ignore this mail: your password stays as it is.',
  },
}

/**
 * The mail that carries a token. The token is in the link's fragment, which no browser sends to a server and no proxy
 * logs (ASVS 14.2.1).
 */
export const tokenMail = ({ config }: Platform, purpose: keyof typeof OPENINGS, to: string, token: string): Message => {
  const { subject, why, not } = OPENINGS[purpose]
  const base = config.PUBLIC_URL
  const text = `${why}

Open this link within ${LASTS[purpose]}; it works once:

${base}/#${purpose}=${token}

Without a browser: POST { "token": "…", "password": "…" } as JSON to ${base}/api/v1/login/reset/confirm, with the token
that follows "${purpose}=" in the link, and "code" if your account has a second factor.

${not}
`
  return { to, subject, text }
}
