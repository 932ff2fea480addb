import { isPassword } from '../broker/accounts.ts'
import { currentRules } from '../broker/current.ts'
import type { Account, Rules } from '../broker/rules.ts'
import { rootKeys } from '../keys.ts'
import type { Platform } from '../platform.ts'

/** Who has an account at the embedded broker, and what it may do: at hand, since a door does not wait for a database. */
export type Doorkeeper = {
  rules(): Rules
  isPassword(account: Account | undefined, password: string): Promise<boolean>
  /** Calls back whenever the rules have become others. */
  onChange(changed: (rules: Rules) => void): void
  close(): void
}

const EVERY_MS = 1_000

/** The rules as they are, read anew every second; while the database is away, as they last were. */
export const keepDoor = async (platform: Pick<Platform, 'config' | 'db' | 'now' | 'log'>): Promise<Doorkeeper> => {
  let rules = await currentRules(platform)
  const listeners: ((rules: Rules) => void)[] = []
  let busy = false
  const timer = setInterval(() => {
    if (busy) return
    busy = true
    currentRules(platform)
      .then((read) => {
        if (read === rules) return
        rules = read
        for (const changed of listeners) changed(read)
      })
      .catch(() => platform.log('debug', 'broker_rules_unread'))
      .finally(() => {
        busy = false
      })
  }, EVERY_MS).unref()
  return {
    rules: () => rules,
    isPassword: (account, password) => isPassword(rootKeys(platform.config), account, password),
    onChange: (changed) => void listeners.push(changed),
    close: () => clearInterval(timer),
  }
}
