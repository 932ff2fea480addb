import { compare, hash, truncates } from 'bcryptjs'
import type { Password } from '../platform.ts'

/** For Workers: bcrypt in JavaScript, the same `$2b$` hashes as on Node, so that one database serves both. */
export const bcryptjs: Password = {
  async hash(plain) {
    if (truncates(plain)) throw new Error('longer than bcrypt can read')
    return hash(plain, 12)
  },
  verify: (plain, stored) => compare(plain, stored),
}
