import { readFile } from 'node:fs/promises'
import type { TransactionSql } from 'postgres'
import { beforeAll, describe, expect, test } from 'vitest'
import { APP_KEY, startTestApi, type TestApi } from '../testing/api.ts'
import { type Caller, signIn } from '../testing/caller.ts'
import { handedOver, registerBridge, scanOf } from '../testing/sealed.ts'
import { sealed } from './checkpoint.ts'
import { sealErasure, sealRemoval } from './lawful.ts'
import { verifyChain } from './verify.ts'

// What is on record stays as it was written: the database refuses to change it, and what somebody changes who can switch
// that off is found.

let api: TestApi
let owner: Caller

/** What this gives inside a transaction that leaves no trace. */
const undone = async <T>(work: (tx: TransactionSql) => Promise<T>): Promise<T> => {
  let result: { value: T } | undefined
  const undo = new Error('undo')
  await api.db.$client
    .begin(async (tx) => {
      result = { value: await work(tx) }
      throw undo
    })
    .catch((error: unknown) => {
      if (error !== undo) throw error
    })
  if (!result) throw new Error('the work gave nothing')
  return result.value
}

/** What verification finds after somebody with all rights did this, as kind and rows. */
const findAfter = async (statements: string, checkpoint?: Parameters<typeof verifyChain>[1]) => {
  const { findings, found } = await undone(async (tx) => {
    await tx.unsafe('alter table audit disable trigger user')
    await tx.unsafe(statements)
    return verifyChain(tx, checkpoint)
  })
  expect(found).toBe(findings.length)
  for (const { detail } of findings) expect(detail).toMatch(/^(Row [-\d]+ was|Rows \d+ to \d+ were) .*\.$/)
  return findings.map(({ kind, from, to }) => (from === to ? `${kind} ${from}` : `${kind} ${from}-${to}`))
}

const ROWS = 30

beforeAll(async () => {
  api = await startTestApi()
  owner = await signIn(api, 'owner')
  for (let i = 1; i < ROWS; i++) await owner.post('/groups', { name: `Gruppe „${i}“ \\ "x" 🚪` })
})

describe('the chain', () => {
  test('of rows as the API writes them is whole', async () => {
    const { rows, last, findings, found } = await verifyChain(api.db.$client)
    expect({ rows, number: last.number, findings, found }).toEqual({ rows: ROWS, number: ROWS, findings: [], found: 0 })
  })

  test('of no rows is whole', async () => {
    expect(await findAfter('delete from audit')).toEqual([])
  })

  test('is whole whatever is in a row', async () => {
    const names = ['a\u2028b', '"\\/', '𝄞', '{"a": [1.50, 1e3, null]}']
    for (const name of names) expect((await owner.post('/groups', { name })).status).toBe(201)
    expect(await findAfter('')).toEqual([])
    expect(await findAfter(`set local time zone 'Asia/Kathmandu'; set local datestyle = 'German'`)).toEqual([])
  })

  test('of twenty rows that were written at once is whole', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, i) => owner.post('/groups', { name: `At once ${i}` })))
    expect(await findAfter('')).toEqual([])
  })

  /** As somebody would who knows how: the row is hashed again, and so may be those that follow. */
  const rehash = (from: number, to = from) => `
    do $$ declare n bigint; begin for n in ${from}..${to} loop
      update audit set previous = (select hash from audit where number = n - 1) where number = n and n > ${from};
      update audit set hash = encode(sha256(convert_to(audit_text(audit), 'UTF8')), 'hex') where number = n;
    end loop; end $$;`
  const columns = 'at, actor_kind, actor_id, address, action, target_kind, target_id, before, after, previous, hash'
  const insert = (number: number) =>
    `insert into audit (number, ${columns}) select '${BigInt(number)}', ${columns} from audit where number = 3;`
  const shift = (from: number, by: number) => `
    update audit set number = -number where number >= ${from};
    update audit set number = -number + ${by} where number < 0;`
  const swap = (a: number, b: number) => `
    update audit set number = 0 where number = ${a};
    update audit set number = ${a} where number = ${b};
    update audit set number = ${b} where number = 0;`

  test.each([
    ['an edited action', `update audit set action = 'x' where number = 7`, ['edited 7']],
    ['an edited time', `update audit set at = at + interval '1 ms' where number = 7`, ['edited 7']],
    ['an edited actor', 'update audit set actor_id = target_id where number = 7', ['edited 7']],
    ['an edited kind of actor', `update audit set actor_kind = 'system' where number = 7`, ['edited 7']],
    ['an edited address', `update audit set address = '::1' where number = 7`, ['edited 7']],
    ['an edited target', 'update audit set target_id = actor_id where number = 7', ['edited 7']],
    ['an edited kind of target', 'update audit set target_kind = null where number = 7', ['edited 7']],
    ['an edited before', `update audit set before = '{}' where number = 7`, ['edited 7']],
    ['an edited after', `update audit set after = after || '{"name": "y"}' where number = 7`, ['edited 7']],
    ['an edited hash', `update audit set hash = repeat('a', 64) where number = 7`, ['edited 7']],
    ['an edited link', `update audit set previous = repeat('a', 64) where number = 7`, ['inserted 7']],
    ['an edited first row', `update audit set action = 'x' where number = 1`, ['edited 1']],
    ['two edited rows', `update audit set action = 'x' where number in (7, 9)`, ['edited 7', 'edited 9']],
    [
      'an edited row that was hashed again',
      `update audit set action = 'x' where number = 7; ${rehash(7)}`,
      ['rewritten 7'],
    ],
    ['a removed row', 'delete from audit where number = 7', ['missing 7']],
    ['removed rows', 'delete from audit where number between 7 and 9', ['missing 7-9']],
    ['a removed beginning', 'delete from audit where number < 3', ['missing 1-2']],
    ['a removed row whose gap was closed', `delete from audit where number = 7; ${shift(8, -1)}`, ['missing 7']],
    ['an inserted row before all others', insert(0), ['inserted 0']],
    [
      'an inserted row for which the others made room',
      `${shift(7, 1)} ${insert(7)} update audit set previous = (select hash from audit where number = 6) where number = 7; ${rehash(7)}`,
      ['inserted 7'],
    ],
    ['an inserted row far behind', insert(1_000), [expect.stringMatching(/^missing \d+-999$/), 'edited 1000']],
    ['an inserted row beyond all numbers of ours', insert(-(2 ** 62)), [`inserted ${-(2 ** 62)}`]],
    ['the row that is before all numbers', insert(-(2 ** 63)), [`inserted ${-(2 ** 63)}`]],
    ['swapped neighbours', swap(7, 8), ['moved 7', 'moved 8']],
    ['swapped rows', swap(7, 12), ['moved 7', 'moved 12']],
    [
      'swapped contents',
      `update audit a set after = b.after from audit b where (a.number, b.number) in ((7, 8), (8, 7))`,
      ['edited 7', 'edited 8'],
    ],
  ])('shows %s', async (_, statements, expected) => {
    const found = await findAfter(statements)
    // Behind a row without a place of its own stands nothing that is wrong.
    expect(found.slice(0, expected.length)).toEqual(expected)
    expect(found.filter((one) => !/1000|999/.test(one)).length).toBeLessThanOrEqual(expected.length)
  })

  test('shows that two rows have the same number', async () => {
    expect(await findAfter(`alter table audit drop constraint audit_pkey; ${insert(7)}`)).toContain('inserted 7')
  })

  test('does not take the word of the database for what is hashed', async () => {
    const lie = `create or replace function audit_text("row" audit) returns text language sql stable as $$ select "row".hash $$;`
    expect(await findAfter(`${lie} update audit set action = 'x' where number = 7`)).toEqual(['edited 7'])
  })

  test('shows a row that was added without the trigger', async () => {
    const next = (await verifyChain(api.db.$client)).last.number + 1
    expect(await findAfter(insert(next))).toEqual([`moved ${next}`])
    const invented = `values (${next}, now(), 'system', 'x', repeat('a', 64), repeat('b', 64))`
    expect(await findAfter(`insert into audit (number, at, actor_kind, action, previous, hash) ${invented}`)).toEqual([
      `inserted ${next}`,
    ])
  })

  test('counts more findings than it keeps', async () => {
    const { findings, found, rows } = await undone(async (tx) => {
      await tx.unsafe('alter table audit disable trigger user')
      await tx`insert into audit select number + 1000, at, actor_kind, actor_id, address, action, target_kind, target_id,
        before, after, previous, hash from audit a, generate_series(0, 9) where false`
      await tx`insert into audit select 10000 + g, now(), 'system', null, null, 'x', null, null, null, null, '', ''
        from generate_series(1, 2500) g`
      return verifyChain(tx)
    })
    expect({ kept: findings.length, all: found > 2500, rows: rows > 2500 }).toEqual({
      kept: 100,
      all: true,
      rows: true,
    })
  })

  describe('with a checkpoint', () => {
    const checkpoint = async () => {
      const { body } = await owner.get('/audit/checkpoint')
      return { number: Number(body['number']), hash: String(body['hash']), at: String(body['at']) }
    }

    test('is whole, also when it has grown', async () => {
      const then = await checkpoint()
      await owner.post('/groups', { name: 'Later' })
      expect(await findAfter('', then)).toEqual([])
    })

    test('shows an end that was cut off', async () => {
      const then = await checkpoint()
      const { number } = then
      expect(await findAfter(`delete from audit where number > ${number - 2}`)).toEqual([])
      expect(await findAfter(`delete from audit where number > ${number - 2}`, then)).toEqual([
        `truncated ${number - 1}-${number}`,
      ])
      expect(await findAfter('delete from audit', then)).toEqual([`truncated 1-${number}`])
    })

    test('shows a chain that was hashed anew from an edited row on', async () => {
      const then = await checkpoint()
      const anew = `update audit set action = 'x' where number = 7; ${rehash(7, then.number)}`
      expect(await findAfter(anew)).toEqual([])
      expect(await findAfter(anew, then)).toEqual([`rewritten ${then.number}`])
    })
  })
})

/** What each of these statements is answered with; "done" where it is not refused. */
const answers = async (tx: TransactionSql, statements: readonly string[]) => {
  const found: [string, string][] = []
  for (const statement of statements) {
    const answer = await tx
      .savepoint((sp) => sp.unsafe(statement))
      .then(
        () => 'done',
        (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : 'failed'),
      )
    found.push([statement, answer])
  }
  return found
}

/** SQLSTATE: restrict_violation, as our triggers raise it, and insufficient_privilege. */
const KEPT = '23001'
const NOT_ALLOWED = '42501'

const KEY = Buffer.from(APP_KEY, 'base64')
const OTHER_KEY = Buffer.alloc(32, 7)

describe('what the log itself took', () => {
  /** A row of the log as it was written, and the findings after somebody with all rights did this. */
  type Tx = TransactionSql
  const findings = async (work: (tx: Tx) => Promise<unknown>, keys = [KEY], checkpoint?: { number: number }) => {
    const verdict = await undone(async (tx) => {
      await work(tx)
      const known = checkpoint && { hash: 'a'.repeat(64), at: '2026-01-01T00:00:00Z', ...checkpoint }
      return verifyChain(tx, known, () => keys)
    })
    return verdict.findings.map(({ kind, from, to }) => (from === to ? `${kind} ${from}` : `${kind} ${from}-${to}`))
  }
  const say = (tx: Tx, action: string, after: object) => tx`
    insert into audit (number, at, actor_kind, action, after, previous, hash)
    values (0, now(), 'system', ${action}, ${JSON.stringify(after)}::text::jsonb, '', '')`
  const withAllRights = (tx: Tx, statements: string) =>
    tx.unsafe(`alter table audit disable trigger user; ${statements}; alter table audit enable trigger user`)

  /** The first rows go, and a row says up to which, under this seal. */
  const removeTo = async (tx: Tx, through: number, said = through, seal = sealRemoval) => {
    const [row] = await tx<{ hash: string }[]>`select hash from audit where number = ${said}`
    const last = { number: said, hash: String(row?.hash), at: '2026-01-01T00:00:00Z' }
    await say(tx, 'retention.run', { audit: { removed: through, last: await seal(KEY, last) } })
    await withAllRights(tx, `delete from audit where number <= ${through}`)
  }

  type Row = [string, (tx: Tx) => Promise<unknown>, string[]]
  test.each<Row>([
    ['nothing else: its beginning, as a row says', (tx) => removeTo(tx, 4), []],
    ['more than a row says', (tx) => removeTo(tx, 5, 4), ['missing 1-5']],
    ['what a row says that was sealed for something else', (tx) => removeTo(tx, 4, 4, sealed), ['missing 1-4']],
    [
      'what a row says with another key’s seal',
      (tx) => removeTo(tx, 4, 4, (_, last) => sealRemoval(OTHER_KEY, last)),
      ['missing 1-4'],
    ],
    [
      'its beginning, and the next row was edited',
      async (tx) => {
        await removeTo(tx, 4)
        await withAllRights(tx, `update audit set action = 'x' where number = 5`)
      },
      ['edited 5'],
    ],
  ])('of its beginning is found: %s', async (_, work, expected) => {
    expect(await findings(work)).toEqual(expected)
  })

  test('is not taken on trust where nobody has the key', async () => {
    expect(await findings((tx) => removeTo(tx, 4), [])).toEqual(['missing 1-4'])
  })

  test('of its beginning leaves a checkpoint from before without a say', async () => {
    expect(await findings((tx) => removeTo(tx, 4), [KEY], { number: 3 })).toEqual([])
    expect(await findings((tx) => removeTo(tx, 4), [KEY], { number: 4 })).toEqual(['rewritten 4'])
  })

  /** Rows 7 and 9 are erased as a person's are, and listed with this key's seal. Gives the row that lists them. */
  const eraseTwo = async (tx: Tx, key: Uint8Array = KEY) => {
    const left = await tx<
      { erased: string; left: string }[]
    >`select * from erase_audit(array[7, 9]::bigint[]) order by 1`
    await say(
      tx,
      'people.erase',
      await sealErasure(
        key,
        left.map((row) => [Number(row.erased), row.left]),
      ),
    )
    const [last] = await tx<{ number: string }[]>`select max(number) as number from audit`
    return Number(last?.number)
  }
  const erasedAnd = (statements: string) => async (tx: Tx) => {
    await eraseTwo(tx)
    await withAllRights(tx, statements)
  }

  test.each<Row>([
    ['nothing else', (tx) => eraseTwo(tx), []],
    [
      'another word in what is left',
      erasedAnd(`update audit set after = '{"erased": 1}' where number = 7`),
      ['edited 7'],
    ],
    ['another actor of what is left', erasedAnd('update audit set actor_id = null where number = 9'), ['edited 9']],
    ['a row that none lists', erasedAnd(`update audit set after = '{"erased": true}' where number = 8`), ['edited 8']],
    [
      'the place of what is left',
      erasedAnd('update audit set number = -number where number = 7'),
      ['inserted -7', 'missing 7'],
    ],
    ['no row that lists it', erasedAnd(`delete from audit where action = 'people.erase'`), ['edited 7', 'edited 9']],
    ['a seal of somebody else', (tx) => eraseTwo(tx, OTHER_KEY), ['edited 7', 'edited 9']],
  ])('of a person is found: %s', async (_, work, expected) => {
    expect(await findings(work)).toEqual(expected)
  })

  test('of a person is found where the row that lists it was edited, also if it was hashed again', async () => {
    const list = `jsonb_set(after, '{rows,0,1}', to_jsonb(repeat('a', 64)))`
    const edit = `update audit set after = ${list} where action = 'people.erase'`
    const again = `update audit set hash = encode(sha256(convert_to(audit_text(audit), 'UTF8')), 'hex')
      where action = 'people.erase'`
    let number = 0
    const edited = (statements: string) => async (tx: Tx) => {
      number = await eraseTwo(tx)
      await withAllRights(tx, statements)
    }
    expect(await findings(edited(edit))).toEqual(['edited 7', 'edited 9', `edited ${number}`])
    expect(await findings(edited(`${edit}; ${again}`))).toEqual(['edited 7', 'edited 9'])
  })
})

describe('the database', () => {
  let readerId: string
  let eventId: string

  beforeAll(async () => {
    const bridge = await registerBridge(api, owner)
    readerId = (await owner.post('/readers', { name: 'Door', topic: 'door' })).body.id
    eventId = (await bridge.check(scanOf(readerId, '1'))).scan
    await bridge.handOver([handedOver(readerId, '1', { id: eventId, reason: 'late' })])
  })

  const changes = () => [
    `update audit set action = 'x' where number = 1`,
    'update audit set number = number',
    'delete from audit where number = 1',
    'truncate audit',
    `update events set reason = 'granted', decision = 'granted' where id = '${eventId}'`,
    `update events set card_number = '2' where id = '${eventId}'`,
    `delete from events where id = '${eventId}'`,
    'truncate events',
    'update event_corrections set at = now()',
    'delete from event_corrections',
    'truncate event_corrections',
  ]

  test('refuses to change or remove what is on record, whoever asks it to', async () => {
    expect(await undone((tx) => answers(tx, changes()))).toEqual(changes().map((change) => [change, KEPT]))
  })

  test('keeps what an event said before a bridge corrected it', async () => {
    const rows = await api.db.$client`select before from event_corrections where event_id = ${eventId}`
    expect(rows).toMatchObject([{ before: { id: eventId, reason: 'unknown_card', source: 'online' } }])
  })

  describe('with the role of least-privilege.sql', () => {
    const asApp = async <T>(work: (tx: TransactionSql) => Promise<T>): Promise<T> => {
      const statements = await readFile('api/db/least-privilege.sql', 'utf8')
      return undone(async (tx) => {
        await tx.unsafe(statements)
        await tx.unsafe(statements)
        await tx.unsafe('set local role lintel_app')
        return work(tx)
      })
    }

    test('does not even look at whether it might', async () => {
      const expected = changes().map((change) => [change, change.startsWith('update events') ? KEPT : NOT_ALLOWED])
      expect(await asApp((tx) => answers(tx, changes()))).toEqual(expected)
    })

    test('lets nobody switch off what keeps the record', async () => {
      const tricks = [
        'alter table audit disable trigger user',
        'alter table events disable trigger all',
        'set local session_replication_role = replica',
        'drop trigger audit_kept on audit',
        'drop table audit',
        'alter table audit drop constraint audit_pkey',
        `create or replace function refuse_change() returns trigger language plpgsql as $$ begin return new; end $$`,
        `create or replace function chain_audit() returns trigger language plpgsql as $$ begin return new; end $$`,
        `update audit set action = 'x' where number = 1`,
        'create temporary table audit as select 1',
      ]
      const found = await asApp((tx) => answers(tx, tricks))
      expect(found.filter(([, answer]) => answer !== NOT_ALLOWED)).toEqual([])
      const { findings } = await verifyChain(api.db.$client)
      expect(findings).toEqual([])
    })

    test('takes no temporary table for one of ours, where somebody may make one', async () => {
      const found = await undone(async (tx) => {
        await tx.unsafe(await readFile('api/db/least-privilege.sql', 'utf8'))
        await tx.unsafe(
          `do $$ begin execute format('grant temporary on database %I to lintel_app', current_database()); end $$`,
        )
        await tx.unsafe('set local role lintel_app')
        await tx.unsafe(`create temporary table pg_class as
          select 'public.events'::regclass::oid as oid, (select oid from pg_roles where rolname = 'lintel_app') as relowner`)
        return answers(tx, [
          `set local lintel.record = 'erasing'`,
          `update events set card_number = '2' where id = '${eventId}'`,
        ])
      })
      expect(found.map(([, answer]) => answer)).toEqual(['done', KEPT])
    })

    test('lets what is too old go, and no more than that', async () => {
      const { id } = (await owner.post('/people', { name: 'Ada' })).body
      const all = `'-infinity', 'infinity', 1000`
      const some = [
        `select * from remove_events(${all})`,
        `select * from remove_device_events(${all})`,
        'select erase_audit(array[1]::bigint[])',
      ]
      expect(await asApp((tx) => answers(tx, some))).toEqual(some.map((one) => [one, 'done']))
      const { left } = await asApp(async (tx) => {
        await tx.unsafe(some[0] ?? '')
        const [row] = await tx`select count(*)::int as left from events`
        return { left: row?.['left'] }
      })
      expect(left).toBeGreaterThan(0)
      const not = [
        'select remove_audit(1)',
        `select remove_audit(${2 ** 40})`,
        `select erase_events('${id}', array['${eventId}']::uuid[])`,
        `set local lintel.record = 'erasing'; update events set card_number = 'x' where id = '${eventId}'`,
      ]
      expect(await asApp((tx) => answers(tx, not))).toEqual(not.map((one) => [one, KEPT]))
      const never = ['removing', 'erasing'].flatMap((word) =>
        [`update audit set action = 'x'`, 'delete from audit', 'delete from events', 'delete from device_events'].map(
          (change) => `set local lintel.record = '${word}'; ${change}`,
        ),
      )
      expect(await asApp((tx) => answers(tx, never))).toEqual(never.map((one) => [one, NOT_ALLOWED]))
    })

    test('lets Lintel do its work', async () => {
      const id = crypto.randomUUID()
      const work = [
        `insert into groups (id, name) values ('${id}', 'x')`,
        `select * from groups where id = '${id}' for update`,
        `update groups set name = 'y' where id = '${id}'`,
        `delete from groups where id = '${id}'`,
        `insert into audit (number, at, actor_kind, action, previous, hash) values (0, now(), 'system', 'x', '', '')`,
        'select * from audit',
        `update events set reason = 'unavailable' where id = '${eventId}' and false`,
        `insert into events select '${id}', at, received_at, reader_id, card_number, card_id, person_id, 'granted', 'granted',
          'online', bridge_id, open_ms, snapshot, answered from events limit 1`,
        `update events set source = 'offline', reason = 'late', decision = 'denied' where id = '${id}'`,
        `insert into sessions select '${id}', id, now(), now(), now(), now() from accounts limit 1`,
        'delete from sessions',
        'delete from site_changes',
        'select max(created_at) from drizzle.__drizzle_migrations',
      ]
      expect(await asApp((tx) => answers(tx, work))).toEqual(work.map((statement) => [statement, 'done']))
    })
  })
})
