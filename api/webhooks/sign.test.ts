import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { newWebhookSecret, signed } from './sign.ts'

test('whatever is sent, the library that receivers have verifies it', async () => {
  const text = fc.string({ unit: 'grapheme' })
  await fc.assert(
    fc.asyncProperty(fc.uuid(), text, async (id, name) => {
      const secret = newWebhookSecret()
      const body = JSON.stringify({ name })
      const headers = await signed(secret, id, new Date(), body)
      expect(new Webhook(secret).verify(body, headers)).toEqual({ name })
    }),
    { numRuns: 50 },
  )
})

test('the signature is the one of the specification’s example', async () => {
  const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
  const at = new Date(1_614_265_330_000)
  const headers = await signed(secret, 'msg_p5jXN8AQM9LWM0D4loKWxJek', at, '{"test": 2432232314}')
  expect(headers).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
})

test('a secret is 32 random bytes, and no two are the same', () => {
  const secrets = [1, 2, 3].map(newWebhookSecret)
  for (const secret of secrets) expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
  expect(new Set(secrets).size).toBe(3)
})
