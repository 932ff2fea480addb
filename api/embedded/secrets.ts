import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { SetupError } from '../contract/environment.ts'

/** Make the folder for what is embedded, readable by its owner only, or say why that cannot be. */
export const openDataDir = (dataDir: string): void => {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    writeFileSync(join(dataDir, '.writable'), '')
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new SetupError(
      `DATA_DIR (${dataDir}) cannot be written (${why}). Make it a folder that this user owns, or set DATA_DIR to another one.`,
    )
  }
}

const Secrets = v.object({ APP_KEY: v.string() })

/** The secrets of an embedded installation: made once, kept in DATA_DIR for its owner's eyes only. */
export const embeddedSecrets = (dataDir: string): v.InferOutput<typeof Secrets> => {
  const file = join(dataDir, 'secrets.json')
  if (!existsSync(file)) writePrivate(file, { APP_KEY: randomBytes(32).toString('base64') })
  try {
    return v.parse(Secrets, JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    throw new SetupError(
      `${file} cannot be read. Restore it from a backup: without it, nobody stays signed in and bridges need new keys. ` +
        'To begin anew, delete DATA_DIR.',
    )
  }
}

export const writePrivate = (file: string, content: Record<string, unknown>): void => {
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 })
  chmodSync(file, 0o600)
}

/** A password that nobody has to type often: 20 characters of an alphabet without look-alikes, about 117 bits. */
export const newPassword = (): string => {
  const alphabet = 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789'
  const letters = [...randomBytes(64)].filter((byte) => byte < alphabet.length * 4).slice(0, 20)
  return letters.map((byte) => alphabet[byte % alphabet.length]).join('')
}
