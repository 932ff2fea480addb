import { createServer } from 'node:http'
import postgres from 'postgres'

// Half of the floor: one POST, one committed insert, one answer. No account, no seal, no schema, no question asked.

const sql = postgres(process.env['DATABASE_URL'] ?? '', { max: 10, fetch_types: false, onnotice: () => {} })
await sql`create table scans (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  reader text not null,
  card text not null
)`

const server = createServer((request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => {
    const { reader, card } = JSON.parse(Buffer.concat(parts).toString())
    sql`insert into scans (reader, card) values (${reader}, ${card})`.then(
      () => response.end('1'),
      () => response.writeHead(500).end('0'),
    )
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') process.send?.(`http://127.0.0.1:${address.port}/`)
})
process.on('disconnect', () => process.exit(0))
