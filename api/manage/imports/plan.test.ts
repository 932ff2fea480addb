import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readCsv } from './csv.ts'
import { type Known, linesOf, type Plan, planOf } from './plan.ts'

const NOTHING: Known = { people: [], cards: [], groups: [], members: [] }

const person = (id: string, more: Partial<Known['people'][number]> = {}) => ({
  ...{ id, name: 'Ada', email: null, employeeNumber: null, active: true, validFrom: null, validUntil: null },
  exemptFromLockdown: false,
  erasedAt: null,
  ...more,
})
const card = (id: string, personId: string, more: Partial<Known['cards'][number]> = {}) => ({
  ...{ id, personId, number: 'DE0BA996', form: 'hex' as const, label: null, status: 'active' as const },
  ...{ validFrom: null, validUntil: null, ...more },
})

const plan = (text: string, known: Partial<Known> = {}): Plan =>
  planOf(linesOf(readCsv(text)), { ...NOTHING, ...known })

const mistakes = (text: string, known: Partial<Known> = {}) =>
  plan(text, known).errors.map(({ row, column, message }) => `${row} ${column ?? '-'} ${message}`)

const results = ({ results: rows }: Plan) => rows.map(({ result }) => result)

/** What is there after a plan was carried out. */
const carriedOut = (known: Known, { people, cards, memberships }: Plan): Known => {
  const over = <T extends { id: string }>(there: T[], added: T[], changed: { after: T }[]) => [
    ...there.map((one) => changed.find(({ after }) => after.id === one.id)?.after ?? one),
    ...added,
  ]
  return {
    people: over(known.people, people.added, people.changed),
    cards: over(known.cards, cards.added, cards.changed),
    groups: known.groups,
    members: [...known.members, ...memberships],
  }
}

describe('whose row it is', () => {
  test('is told by the employee number, whatever the e-mail says', () => {
    const people = [person('1', { employeeNumber: '7' }), person('2', { email: 'a@example.org' })]
    const { people: planned, errors } = plan('employee_number,email\n7,a@example.org', { people })
    expect(errors).toEqual([])
    expect(planned.changed).toMatchObject([{ after: { id: '1', email: 'a@example.org' } }])
  })

  test('else by the e-mail, in any case; a number is then given to whoever has none', () => {
    const people = [person('1', { email: 'a@example.org' })]
    const { people: planned } = plan('employee_number,email\n7,A@example.org', { people })
    expect(planned).toMatchObject({ added: [], changed: [{ after: { id: '1', employeeNumber: '7' } }] })
  })

  test('else it is of somebody new; whoever has another number is somebody else', () => {
    const people = [person('1', { email: 'desk@example.org', employeeNumber: '6' })]
    const { people: planned } = plan('name,employee_number,email\nBob,7,desk@example.org\nEve,,', { people })
    expect(planned.changed).toEqual([])
    expect(planned.added).toMatchObject([
      { name: 'Bob', employeeNumber: '7', active: true },
      { name: 'Eve', employeeNumber: null },
    ])
  })

  test('several rows of one person are several cards', () => {
    const text = 'name,employee_number,email,card_number\nAda,7,a@example.org,AA01\n,7,,AA02\n,,a@example.org,AA03'
    const planned = plan(text)
    expect(planned.people.added).toHaveLength(1)
    expect(planned.cards.added.map(({ personId }) => personId)).toEqual(Array(3).fill(planned.people.added[0]?.id))
    expect(results(planned)).toEqual(['created', 'created', 'created'])
  })
})

describe('what a row does', () => {
  const groups = [
    { id: 'g1', name: 'Staff' },
    { id: 'g2', name: 'Night' },
  ]
  const people = [person('1', { employeeNumber: '7', validUntil: new Date('2030-01-01T00:00:00Z') })]
  const members = [{ groupId: 'g1', personId: '1' }]
  const known = { people, cards: [card('c', '1')], groups, members }

  test.each<[string, string, string]>([
    ['nothing, where it says what is there', 'name,groups,card_number\nAda,Staff,de:0b:a9:96', 'unchanged'],
    ['nothing, where its cells are empty', 'valid_until,card_label\n,', 'unchanged'],
    ['nothing, where a time is written otherwise', 'valid_until\n2030-01-01T01:00:00+01:00', 'unchanged'],
    ['a change of the person', 'active\nNo', 'updated'],
    ['a change of the card', 'card_number,card_label\nDE0BA996,Fob', 'updated'],
    ['a group more', 'groups\n Staff | Night |', 'updated'],
    ['a card more', 'card_number\nDE0BA997', 'created'],
  ])('is %s', (_, text, result) => {
    const [header, row] = text.split('\n')
    const planned = plan(`employee_number,${header}\n7,${row}`, known)
    expect(planned.errors).toEqual([])
    expect(results(planned)).toEqual([result])
  })

  test('leaves the status of a card as it is', () => {
    const lost = { ...known, cards: [card('c', '1', { status: 'lost' })] }
    const { cards } = plan('employee_number,card_number,card_label\n7,DE0BA996,Fob', lost)
    expect(cards.changed).toMatchObject([{ after: { status: 'lost', label: 'Fob' } }])
  })
})

describe('what is wrong with a row is said', () => {
  const people = [
    person('1', { employeeNumber: '7', validFrom: new Date('2030-01-01T00:00:00Z') }),
    person('2', { email: 'desk@example.org' }),
    person('3', { email: 'desk@example.org' }),
  ]
  const groups = ['Staff', 'Twin', 'Twin'].map((name, i) => ({ id: String(i), name }))
  const known = { people, groups, cards: [card('c', '2')] }

  test.each<[string, string]>([
    ['employee_number\n8', '2 name is needed: nobody is known by this employee_number or email'],
    ['name,email\nAda,desk@example.org', '2 email belongs to several people: say the employee_number'],
    ['name,employee_number\nAda,7\nBob,7', '3 name differs from row 2, which is of the same person'],
    ['employee_number,valid_until\n7,2029-01-01T00:00:00Z', '2 valid_until must be after valid_from'],
    ['name,valid_until\nAda,2029-01-01', '2 valid_until not a time such as 2026-01-31T08:00:00Z'],
    ['name,active\nAda,maybe', '2 active must be one of true, yes, 1, false, no, 0'],
    ['name,active\nAda,constructor', '2 active must be one of true, yes, 1, false, no, 0'],
    ['name,groups\nAda,Staff|Nobody', '2 groups “Nobody” is no group: add it first'],
    ['name,groups\nAda,Twin', '2 groups “Twin” is the name of several groups'],
    ['name,card_label\nAda,Fob', '2 card_label speaks of a card, and there is no card_number'],
    [
      'name,card_number\nAda,12345678',
      '2 card_form must be hex or decimal here: a number of digits alone can be either',
    ],
    ['name,card_number,card_form\nAda,12,octal', '2 card_form must be hex or decimal'],
    ['name,card_number,card_form\nAda,DE0,decimal', '2 card_number must be decimal digits, not zero, such as 6159760'],
    [
      'name,card_number,card_form\nAda,0000,hex',
      '2 card_number must be the card’s bytes in hex, 1 to 32 of them and not all zero, such as DE0BA996',
    ],
    ['name,card_number\nAda,DE0BA996', '2 card_number belongs to somebody else already'],
    ['name,card_number\nAda,AA:01\nBob,aa01', '3 card_number is in row 2 already'],
    [
      'name,card_number,card_valid_from,card_valid_until\nAda,AA01,2030-01-01T00:00:00Z,2030-01-01T00:00:00Z',
      '2 card_valid_until must be after card_valid_from',
    ],
    ['name\nAda,Bob', '2 - has more cells than there are columns'],
  ])('%j', (text, mistake) => {
    expect(mistakes(text, known)).toEqual([mistake])
  })

  test('all at once, and of a row all of its cells', () => {
    expect(
      mistakes('name,email,active\n,x,y\nBob,,\nEve,x,').map((one) => one.split(' ').slice(0, 2).join(' ')),
    ).toEqual(['2 email', '2 active', '4 email'])
  })
})

describe('whatever a file says', () => {
  const few = (...texts: string[]) => fc.constantFrom('', ...texts)
  const row = fc.record({
    name: few('Ada', 'Bob'),
    employee_number: few('1', '2', '3'),
    email: few('a@example.org', 'b@example.org'),
    active: few('yes', 'no'),
    groups: few('Staff', 'Night', 'Staff|Night'),
    card_number: few('AA01', 'AA02', 'AA03', 'aa:01'),
    valid_until: few('2030-01-01T00:00:00Z'),
  })
  const file = fc.array(row, { minLength: 1, maxLength: 8 }).map((rows) => {
    const columns = Object.keys(rows[0] ?? {}) as (keyof (typeof rows)[number])[]
    return [columns, ...rows.map((one) => columns.map((column) => one[column]))].map((cells) => cells.join()).join('\n')
  })
  const start: Known = {
    ...NOTHING,
    people: [person('p1', { employeeNumber: '1', email: 'a@example.org' }), person('p2', { email: 'b@example.org' })],
    cards: [card('c1', 'p1', { number: 'AA01' })],
    groups: [
      { id: 'g1', name: 'Staff' },
      { id: 'g2', name: 'Night' },
    ],
  }
  const isEmpty = (text: string) => !/[^,\n]/.test(text.slice(text.indexOf('\n')))

  test('what is planned breaks no rule of the database, and planned again it is nothing', () => {
    let imported = 0
    fc.assert(
      fc.property(file, (text) => {
        if (isEmpty(text)) return
        const planned = plan(text, start)
        if (planned.errors.length > 0) return
        imported++
        const then = carriedOut(start, planned)
        const numbers = then.people.flatMap(({ employeeNumber }) => employeeNumber ?? [])
        expect(new Set(numbers).size).toBe(numbers.length)
        const cardNumbers = then.cards.map(({ form, number }) => `${form} ${number}`)
        expect(new Set(cardNumbers).size).toBe(cardNumbers.length)
        const members = then.members.map(({ groupId, personId }) => `${groupId} ${personId}`)
        expect(new Set(members).size).toBe(members.length)
        const ids = new Set(then.people.map(({ id }) => id))
        for (const { personId } of [...then.cards, ...then.members]) expect(ids).toContain(personId)
        for (const { id, personId } of start.cards)
          expect(then.cards).toContainEqual(expect.objectContaining({ id, personId }))
        const emails = then.people.flatMap(({ email }) => email ?? [])
        // Who shares an address is not told by it any more, and whoever has but a name is somebody new each time.
        if (new Set(emails).size < emails.length) return
        if (
          text
            .split('\n')
            .slice(1)
            .some((one) => /^[^,]*,,,/.test(one))
        )
          return
        const again = plan(text, then)
        expect({ errors: again.errors, results: new Set(results(again)) }).toEqual({
          errors: [],
          results: new Set(['unchanged']),
        })
      }),
      { numRuns: 500 },
    )
    expect(imported).toBeGreaterThan(20)
  })
})
