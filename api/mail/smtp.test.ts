import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { bySmtp } from './smtp.ts'

// The real SMTP client against a server that keeps what it hears.

let heard: string[] = []
let refusesRecipients = false

const speak = (socket: Socket) => {
  const say = (line: string) => socket.write(`${line}\r\n`)
  let inMail = false
  let rest = ''
  socket.setEncoding('utf8').on('error', () => {})
  socket.on('data', (chunk) => {
    const lines = (rest + chunk).split('\r\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      heard.push(line)
      if (inMail) {
        if (line !== '.') continue
        inMail = false
        say('250 taken')
      } else if (/^EHLO/.test(line)) say('250 sink')
      else if (/^DATA/.test(line)) {
        inMail = true
        say('354 go on')
      } else if (/^RCPT/.test(line) && refusesRecipients) say('550 nobody of that name')
      else if (/^STARTTLS/.test(line)) say('502 not here')
      else if (/^QUIT/.test(line)) socket.end('221 bye\r\n')
      else say('250 ok')
    }
  })
  say('220 sink')
}

const server = createServer(speak).listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
const url = `smtp://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
const message = { to: 'ada@example.org', subject: 'A new password', text: 'Open this:\n\nhttps://x/#reset=abc\n' }

beforeEach(() => {
  heard = []
  refusesRecipients = false
})
afterAll(() => server.close())

test('a mail arrives, from MAIL_FROM, for one address, as plain text', async () => {
  await bySmtp({ url, from: 'Lintel <doors@example.org>' })(message)
  expect(heard.filter((line) => /^(MAIL|RCPT)/.test(line))).toEqual([
    expect.stringMatching(/^MAIL FROM:<doors@example\.org>/),
    'RCPT TO:<ada@example.org>',
  ])
  expect(heard).toEqual(
    expect.arrayContaining([
      'From: Lintel <doors@example.org>',
      'To: ada@example.org',
      'Subject: A new password',
      expect.stringMatching(/^Content-Type: text\/plain/),
      'https://x/#reset=abc',
    ]),
  )
})

test('what looks like more addresses, or like a header, is neither', async () => {
  const mail = bySmtp({ url, from: 'doors@example.org' })
  for (const to of ['ada@example.org,eve@example.org', 'ada@example.org>\r\nRCPT TO:<eve@example.org']) {
    await mail({ ...message, to }).catch(() => {})
  }
  await mail({ ...message, subject: 'Hello\r\nBcc: eve@example.org' })
  expect(heard.filter((line) => /^(RCPT TO:<eve|Bcc)/i.test(line))).toEqual([])
})

test('a mail that is refused is an error', async () => {
  refusesRecipients = true
  await expect(bySmtp({ url, from: 'doors@example.org' })(message)).rejects.toThrow()
})

test('nothing goes in the clear to another machine', async () => {
  // The same server by a name that is not this machine's: it offers no STARTTLS.
  const elsewhere = url.replace('127.0.0.1', '0.0.0.0')
  await expect(bySmtp({ url: elsewhere, from: 'doors@example.org' })(message)).rejects.toThrow()
  expect(heard.filter((line) => /^(MAIL|RCPT|DATA)/.test(line))).toEqual([])
})
