import { v7 } from 'uuid'
import type { cards, people } from '../../db/schema.ts'
import type { Column, Row } from './csv.ts'
import { type CardSaid, type Line, lineOf, type PersonSaid, type RowError } from './lines.ts'

type Person = typeof people.$inferSelect
type Card = typeof cards.$inferSelect
type Membership = { groupId: string; personId: string }

/** What is there already of all that a file names. */
export type Known = { people: Person[]; cards: Card[]; groups: { id: string; name: string }[]; members: Membership[] }

export type Changed<T> = { before: T; after: T }

export const RESULTS = ['created', 'updated', 'unchanged', 'error'] as const
export type Result = { row: number; result: (typeof RESULTS)[number]; personId?: string; cardId?: string }

/** What an import would write. With an error in it, nothing of it may be. */
export type Plan = {
  people: { added: Person[]; changed: Changed<Person>[] }
  cards: { added: Card[]; changed: Changed<Card>[] }
  memberships: Membership[]
  errors: RowError[]
  results: Result[]
}

/** A row as it will be; `before` is undefined for a new one, `said` names the row that said each field first. */
type Draft<T> = { before: T | undefined; now: T; said: Map<string, number> }

type Wrong = Omit<RowError, 'row'>
const isWrong = (value: object): value is Wrong => 'message' in value

const cardKey = ({ form, number }: Pick<Card, 'form' | 'number'>) => `${form} ${number}`
const memberKey = ({ groupId, personId }: Membership) => `${groupId} ${personId}`
const same = (a: unknown, b: unknown) => (a instanceof Date && b instanceof Date ? +a === +b : a === b)
const differs = <T extends object>({ before, now }: Draft<T>) =>
  before !== undefined && Object.entries(now).some(([field, value]) => !same(value, before[field as keyof T]))
const backwards = ({ validFrom, validUntil }: Pick<Person, 'validFrom' | 'validUntil'>) =>
  validFrom !== null && validUntil !== null && validUntil <= validFrom

const COLUMN_OF: Record<keyof PersonSaid, Column> = {
  name: 'name',
  email: 'email',
  employeeNumber: 'employee_number',
  active: 'active',
  validFrom: 'valid_from',
  validUntil: 'valid_until',
}
const CARD_COLUMN_OF: Record<keyof CardSaid, Column> = {
  label: 'card_label',
  validFrom: 'card_valid_from',
  validUntil: 'card_valid_until',
}

/** Take over what a row says; what an earlier row of the same file has said otherwise is a contradiction. */
const take = <T extends object>(
  { now, said }: Draft<T>,
  row: number,
  fields: Partial<Record<keyof T, unknown>>,
  columnOf: Partial<Record<keyof T, Column>>,
): Wrong | undefined => {
  for (const field of Object.keys(columnOf) as (keyof T & string)[]) {
    const value = fields[field]
    if (value === undefined) continue
    const earlier = said.get(field)
    const column = columnOf[field]
    if (earlier !== undefined && !same(value, now[field])) {
      return { ...(column && { column }), message: `differs from row ${earlier}, which is of the same person` }
    }
    if (earlier === undefined) said.set(field, row)
    now[field] = value as T[keyof T & string]
  }
  return undefined
}

/**
 * What a file comes to, by what is there: pure, so a dry run is the plan and nothing else. A person is known by the employee
 * number, else by the e-mail; whoever is not known is new. Nobody is taken out of a group and nothing is emptied.
 */
export const planOf = (rows: readonly (Line | RowError[])[], known: Known): Plan => {
  const everybody = peopleOf(known)
  const wallet = cardsOf(known)
  const groups = groupsOf(known)
  const errors: RowError[] = []
  const results: Result[] = []

  const plan = (line: Line): Omit<Result, 'row'> | Wrong => {
    const person = everybody.find(line)
    if (isWrong(person)) return person
    const earlier = everybody.stamp(person)
    const isNew = person.before === undefined && person.said.size === 0
    const wrong = everybody.take(person, line)
    if (wrong) return wrong
    const joined = groups.join(person.now.id, line.groups)
    if (isWrong(joined)) return joined
    const card = line.card && wallet.take(person.now.id, line.row, line.card)
    if (card && isWrong(card)) return card
    const created = isNew || card?.result === 'created'
    const updated = joined.any || card?.result === 'updated' || everybody.stamp(person) !== earlier
    return {
      result: created ? 'created' : updated ? 'updated' : 'unchanged',
      personId: person.now.id,
      ...(card && { cardId: card.id }),
    }
  }

  for (const line of rows) {
    if (Array.isArray(line)) {
      errors.push(...line)
      results.push({ row: line[0]?.row ?? 0, result: 'error' })
      continue
    }
    const { row } = line
    const planned = plan(line)
    if (isWrong(planned)) errors.push({ row, ...planned })
    results.push(isWrong(planned) ? { row, result: 'error' } : { row, ...planned })
  }
  return { people: everybody.outcome(), cards: wallet.outcome(), memberships: groups.added, errors, results }
}

const outcomeOf = <T extends object>(drafts: Iterable<Draft<T>>) => {
  const all = [...drafts]
  return {
    added: all.flatMap(({ before, now }) => (before === undefined ? [now] : [])),
    changed: all.flatMap((draft) =>
      draft.before !== undefined && differs(draft) ? [{ before: draft.before, after: draft.now }] : [],
    ),
  }
}

const peopleOf = ({ people }: Known) => {
  const drafts = new Set<Draft<Person>>()
  const byNumber = new Map<string, Draft<Person>>()
  const byEmail = new Map<string, Set<Draft<Person>>>()
  const register = (draft: Draft<Person>) => {
    drafts.add(draft)
    const { employeeNumber, email } = draft.now
    if (employeeNumber !== null) byNumber.set(employeeNumber, draft)
    if (email !== null) byEmail.set(email, (byEmail.get(email) ?? new Set()).add(draft))
  }
  for (const person of people) register({ before: person, now: { ...person }, said: new Map() })

  const find = ({ person: { employeeNumber, email, name } }: Line): Draft<Person> | Wrong => {
    const numbered = employeeNumber === undefined ? undefined : byNumber.get(employeeNumber)
    if (numbered) return numbered
    // Whoever has another number is somebody else, also when they share an address.
    const sharing = [...(byEmail.get(email ?? '') ?? [])].filter(
      ({ now }) => employeeNumber === undefined || now.employeeNumber === null,
    )
    const [one, another] = sharing
    if (another) return { column: 'email', message: 'belongs to several people: say the employee_number' }
    if (one) return one
    if (name === undefined) {
      return { column: 'name', message: 'is needed: nobody is known by this employee_number or email' }
    }
    const unsaid = { email: null, employeeNumber: null, validFrom: null, validUntil: null }
    const now = { id: v7(), name, ...unsaid, active: true, exemptFromLockdown: false, erasedAt: null }
    return { before: undefined, now, said: new Map() }
  }

  return {
    find,
    take(draft: Draft<Person>, { row, person }: Line): Wrong | undefined {
      const { email } = draft.now
      const wrong = take(draft, row, person, COLUMN_OF)
      if (wrong) return wrong
      if (backwards(draft.now)) return { column: 'valid_until', message: 'must be after valid_from' }
      if (email !== draft.now.email) byEmail.get(email ?? '')?.delete(draft)
      register(draft)
      return undefined
    },
    /** Changes when anything of the person does. */
    stamp: ({ now }: Draft<Person>) => JSON.stringify(now),
    outcome: () => outcomeOf(drafts),
  }
}

const cardsOf = ({ cards }: Known) => {
  const drafts = new Map(cards.map((card): [string, Draft<Card>] => [cardKey(card), draftOf(card)]))
  const rows = new Map<string, number>()

  return {
    take(personId: string, row: number, card: NonNullable<Line['card']>) {
      const key = cardKey(card)
      const earlier = rows.get(key)
      if (earlier !== undefined) return { column: 'card_number' as const, message: `is in row ${earlier} already` }
      rows.set(key, row)
      const { form, number } = card
      const id = v7()
      const known = drafts.get(key)
      const empty = { status: 'active' as const, label: null, validFrom: null, validUntil: null }
      const draft = known ?? { before: undefined, now: { id, personId, form, number, ...empty }, said: new Map() }
      if (draft.now.personId !== personId) {
        return { column: 'card_number' as const, message: 'belongs to somebody else already' }
      }
      take(draft, row, card, CARD_COLUMN_OF)
      if (backwards(draft.now)) {
        return { column: 'card_valid_until' as const, message: 'must be after card_valid_from' }
      }
      drafts.set(key, draft)
      const result = known === undefined ? 'created' : differs(draft) ? 'updated' : 'unchanged'
      return { id: draft.now.id, result }
    },
    outcome: () => outcomeOf(drafts.values()),
  }
}

const draftOf = (card: Card): Draft<Card> => ({ before: card, now: { ...card }, said: new Map() })

const groupsOf = ({ groups, members }: Known) => {
  const byName = Map.groupBy(groups, ({ name }) => name)
  const there = new Set(members.map(memberKey))
  const added: Membership[] = []

  return {
    added,
    join(personId: string, names: readonly string[]): Wrong | { any: boolean } {
      const joining: Membership[] = []
      for (const name of names) {
        const [group, another] = byName.get(name) ?? []
        if (!group) return { column: 'groups', message: `“${name}” is no group: add it first` }
        if (another) return { column: 'groups', message: `“${name}” is the name of several groups` }
        const membership = { groupId: group.id, personId }
        if (!there.has(memberKey(membership))) joining.push(membership)
      }
      for (const membership of joining) there.add(memberKey(membership))
      added.push(...joining)
      return { any: joining.length > 0 }
    },
  }
}

/** Each row by itself, before anybody looks at what is there. */
export const linesOf = (rows: readonly Row[]): (Line | RowError[])[] => rows.map(lineOf)
