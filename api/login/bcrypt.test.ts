import { hash } from '@node-rs/bcrypt'
import { expect, test } from 'vitest'
import { bcrypt } from './bcrypt.ts'

test('two passwords are checked at once, sixty wait, and one more is refused at once', async () => {
  const cheap = await hash('right', { cost: 4 })
  const all = Array.from({ length: 70 }, () => bcrypt.verify('right', cheap))
  const settled = await Promise.allSettled(all)
  const refused = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  expect(refused).toHaveLength(8)
  for (const reason of refused) expect(reason).toMatchObject({ status: 503 })
  expect(await bcrypt.verify('right', cheap)).toBe(true)
})
