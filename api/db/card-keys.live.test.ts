import type { Sql } from 'postgres'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type CardNumber, keysOfCard } from '../contract/card-views.ts'
import { freshDatabase, type TestDatabase } from '../testing/database.ts'
import { writeMissingKeys } from './card-keys.ts'
import { connect } from './connect.ts'

// Cards of a site whose Lintel knew the views `hex` and `decimal` only.

const CARDS = 100
const BATCH = 40

let sql: Sql
let database: TestDatabase

beforeAll(async () => {
  database = await freshDatabase()
  sql = connect({ url: database.url }, 'command')
})

afterAll(async () => {
  await sql.end()
  await database.close()
})

/** Every third is a number whose bytes are unknown. */
const addOldCards = async () => {
  await sql`insert into people (id, name) values ('00000000-0000-7000-8000-000000000001', 'Ada')`
  await sql.unsafe(`
    insert into cards (id, person_id, number, form)
    select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, '00000000-0000-7000-8000-000000000001',
      case n % 3 when 0 then (6159760 + n)::text else upper(lpad(to_hex(n * 65599), 8, '0')) || 'C3' end,
      case n % 3 when 0 then 'decimal' else 'hex' end
    from generate_series(1, ${CARDS}) n`)
  await sql`insert into card_keys (view, key, card_id) select form, number, id from cards`
}

const lacking = async () => {
  const cards = await sql<(CardNumber & { id: string })[]>`select id, number, form from cards order by id`
  const rows = await sql<{ view: string; key: string; id: string }[]>`select view, key, card_id as id from card_keys`
  const there = new Set(rows.map(({ view, key, id }) => `${view} ${key} ${id}`))
  const due = cards.flatMap((card) => keysOfCard(card).map(({ view, key }) => `${view} ${key} ${card.id}`))
  return { missing: due.filter((one) => !there.has(one)).length, tooMany: there.size - due.length }
}

beforeEach(async () => {
  await sql`truncate people cascade`
  await sql`comment on table card_keys is null`
  await addOldCards()
})

test('all cards get the keys that they lack, once', async () => {
  expect(await writeMissingKeys(sql, BATCH)).toBe(CARDS)
  expect(await lacking()).toEqual({ missing: 0, tooMany: 0 })
  expect(await writeMissingKeys(sql, BATCH)).toBe(0)
})

test('what was interrupted half-way goes on from there; and so does a card that an older Lintel adds later', async () => {
  await sql.unsafe(`
    create function stop() returns trigger language plpgsql as $$ begin raise exception 'pulled the plug'; end $$;
    create trigger stop before insert on card_keys for each row
    when (new.card_id = '00000000-0000-7000-8000-000000000060') execute function stop()`)
  await expect(writeMissingKeys(sql, BATCH)).rejects.toThrow('pulled the plug')
  await sql`drop trigger stop on card_keys`
  expect(await writeMissingKeys(sql, BATCH)).toBe(CARDS - BATCH)
  expect(await lacking()).toEqual({ missing: 0, tooMany: 0 })

  await sql`
    insert into cards (id, person_id, number)
    values ('0198c1a2-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000001', 'DE0BA996')`
  expect(await writeMissingKeys(sql, BATCH)).toBe(1)
  expect(await lacking()).toEqual({ missing: 0, tooMany: 0 })
})
