import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { ask, handshake, takesOldTls } from './ask.ts'

const pem = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../bridge/testing/certificates/${name}`, import.meta.url)))

const serve = async (tls: { minVersion?: 'TLSv1'; ciphers?: string } = {}): Promise<number> => {
  const server = createServer({ cert: pem('server.pem'), key: pem('server.key'), ...tls }, (request, response) => {
    response.writeHead(request.url === '/away' ? 308 : 200, { location: 'https://elsewhere.example/' }).end('hello')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

test('a certificate is trusted by whoever has its authority', async () => {
  const port = await serve()
  expect(await handshake({ host: 'localhost', port, ca: pem('ca.pem') })).toMatchObject({ trusted: true })
  expect(await handshake({ host: '127.0.0.1', port, ca: pem('ca.pem') })).toMatchObject({ trusted: true })
  const strange = await handshake({ host: 'localhost', port, ca: pem('other-ca.pem') })
  expect(strange).toMatchObject({
    trusted: false,
    error: expect.stringMatching(/UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET/),
  })
  expect(strange.validTo.getTime()).toBeGreaterThan(Date.now())
})

test('TLS 1.1 is found where it is taken, and nowhere else', async () => {
  expect(await takesOldTls({ host: 'localhost', port: await serve() })).toBe(false)
  const old = await serve({ minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' })
  expect(await takesOldTls({ host: 'localhost', port: old })).toBe(true)
})

test('a question is answered whatever the certificate, is not led elsewhere, and says nothing secret to a stranger', async () => {
  const port = await serve()
  expect(await ask(`https://localhost:${port}/`)).toMatchObject({ status: 200, body: 'hello' })
  expect(await ask(`https://localhost:${port}/away`)).toMatchObject({ status: 308 })
  await expect(ask(`https://localhost:${port}/`, { verify: true })).rejects.toThrow(/certificate/)
})
