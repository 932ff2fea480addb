import * as v from 'valibot'
import { invalid } from '../errors.ts'
import { objection, type Whose } from './blocklist.ts'

/** bcrypt reads 72 bytes and stops at a NUL: a password beyond that is refused, never cut. */
const MOST_BYTES = 72

/** Single-factor passwords have at least 15 characters (NIST SP 800-63B-4). */
export const LEAST_CHARACTERS = 15

/** A password as somebody types it to sign in: checked whole, exactly as received. */
export const Typed = v.pipe(
  v.string(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(MOST_BYTES, `must be at most ${MOST_BYTES} bytes long`),
  v.check((text) => new TextEncoder().encode(text).length <= MOST_BYTES, `must be at most ${MOST_BYTES} bytes long`),
  v.check((text) => !text.includes('\0'), 'must not contain a NUL character'),
  v.check((text) => text.isWellFormed(), 'must be well-formed Unicode'),
)

/** A password that somebody chooses. */
export const Chosen = v.pipe(
  Typed,
  v.check((text) => [...text].length >= LEAST_CHARACTERS, `must have at least ${LEAST_CHARACTERS} characters`),
)

/** Refuses, at the field `password`, what everybody guesses: common passwords, and what says whose account it is. */
export const requireUncommon = (password: string, whose: Whose): void => {
  const reason = objection(password, whose)
  if (reason !== undefined) invalid('password', `${reason}: choose another one`)
}

/** What an unknown e-mail is checked against, so that it costs the time of a known one. Nobody's: of random bytes. */
export const NOBODY = '$2b$12$GNUyDm8tfQABvs23WqaJEeij6AHIR/BmMZszDdzBOqaqOvuk9aJni'
