import { once } from 'node:events'
import { createServer } from 'node:net'
import postgres from 'postgres'
import { expect, test, vi } from 'vitest'

// postgres.js writes small messages a moment later, and forgets that the connection may be gone by then: it throws where
// nobody can catch it, and never writes on that connection again (porsager/postgres#1154, #1208). api/db/patches has the
// repair, which npm applies after installing. When this fails: npm install.

/** A message of the server's: its letter, its length, its content. */
const message = (letter: string, content: Buffer) => {
  const head = Buffer.alloc(5)
  head.write(letter)
  head.writeInt32BE(content.length + 4, 1)
  return Buffer.concat([head, content])
}
const SIGNED_IN = message('R', Buffer.alloc(4))
const ready = (state: string) => message('Z', Buffer.from(state))
const done = (command: string) => message('C', Buffer.from(`${command}\0`))

test('a transaction whose connection ends in the middle is rejected, and later ones find a new connection', async () => {
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    const first = connections === 1
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.write(Buffer.concat([SIGNED_IN, ready('I')]))
      socket.on('data', (asked) => {
        const begins = asked.toString('latin1').toLowerCase().includes('begin')
        // What fails in a transaction is rolled back, and that is one more message on the connection.
        if (first && !begins) return socket.destroy()
        return socket.write(Buffer.concat([done(begins ? 'BEGIN' : 'COMMIT'), ready(begins ? 'T' : 'I')]))
      })
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const sql = postgres({ host: '127.0.0.1', port, username: 'u', database: 'd', max: 1, fetch_types: false })

  const cut = sql.begin((transaction) => transaction.unsafe('select 1'))
  await expect(cut).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' })
  await vi.waitFor(async () => expect(await sql.begin(async () => 'fine')).toBe('fine'))

  await sql.end({ timeout: 0 })
  server.close()
})
