import * as v from 'valibot'
import { type CardNumber, canonicalDecimal, canonicalHex, FORMS } from '../../contract/card-views.ts'
import { email, instant, line } from '../../validate.ts'
import type { Column, Row } from './csv.ts'

/** What one row says. A field that is undefined says nothing, and what is there stays. */
export type Line = {
  row: number
  person: PersonSaid
  groups: string[]
  card: (CardNumber & CardSaid) | undefined
}
export type PersonSaid = {
  name: string | undefined
  email: string | undefined
  employeeNumber: string | undefined
  active: boolean | undefined
  validFrom: Date | undefined
  validUntil: Date | undefined
}
export type CardSaid = { label: string | undefined; validFrom: Date | undefined; validUntil: Date | undefined }

export type RowError = { row: number; column?: Column; message: string }

const WORDS: Record<string, boolean> = { true: true, yes: true, '1': true, false: false, no: false, '0': false }

const yesOrNo = v.pipe(
  v.string(),
  v.toLowerCase(),
  v.check((word) => Object.hasOwn(WORDS, word), 'must be one of true, yes, 1, false, no, 0'),
  v.transform((word) => WORDS[word]),
)

const names = v.pipe(
  v.string(),
  v.transform((cell) => [...new Set(cell.split('|').map((name) => name.trim()))].filter((name) => name !== '')),
  v.array(line()),
  v.maxLength(50, 'are more than 50'),
)

const Cells = v.object({
  name: v.optional(line()),
  email: v.optional(email),
  employee_number: v.optional(line(64)),
  active: v.optional(yesOrNo),
  valid_from: v.optional(instant),
  valid_until: v.optional(instant),
  groups: v.optional(names, ''),
  card_number: v.optional(line(128)),
  card_form: v.optional(v.pipe(v.string(), v.toLowerCase(), v.picklist(FORMS, 'must be hex or decimal'))),
  card_label: v.optional(line()),
  card_valid_from: v.optional(instant),
  card_valid_until: v.optional(instant),
} satisfies Record<Column, v.GenericSchema>)
type Cells = v.InferOutput<typeof Cells>

const OF_A_CARD = ['card_form', 'card_label', 'card_valid_from', 'card_valid_until'] as const

const EXPECTED = {
  hex: 'must be the card’s bytes in hex, 1 to 32 of them and not all zero, such as DE0BA996',
  decimal: 'must be decimal digits, not zero, such as 6159760',
}

type Wrong = Omit<RowError, 'row'>

/** Digits alone can be hex or decimal, and would be another card: so the file has to say which. */
const numberOf = ({ card_number: text, card_form: form }: Cells): CardNumber | undefined | Wrong => {
  if (text === undefined) return undefined
  if (form === undefined && /^\d+$/.test(text)) {
    return { column: 'card_form', message: 'must be hex or decimal here: a number of digits alone can be either' }
  }
  const number = form === 'decimal' ? canonicalDecimal(text) : canonicalHex(text)
  if (number === undefined) return { column: 'card_number', message: EXPECTED[form ?? 'hex'] }
  return { form: form ?? 'hex', number }
}

/** What a row says, or all that is wrong with it. */
export const lineOf = ({ row, cells, tooMany }: Row): Line | RowError[] => {
  if (tooMany) return [{ row, message: 'has more cells than there are columns' }]
  const read = v.safeParse(Cells, cells)
  if (!read.success) {
    return read.issues.map((issue) => ({ row, column: issue.path?.[0]?.key as Column, message: issue.message }))
  }
  const said = read.output
  const number = numberOf(said)
  if (number && 'message' in number) return [{ row, ...number }]
  const lone = number ? undefined : OF_A_CARD.find((column) => said[column] !== undefined)
  if (lone) return [{ row, column: lone, message: 'speaks of a card, and there is no card_number' }]
  const { name, active } = said
  return {
    row,
    person: {
      ...{ name, email: said.email, employeeNumber: said.employee_number, active },
      ...{ validFrom: said.valid_from, validUntil: said.valid_until },
    },
    groups: said.groups,
    card: number && {
      ...number,
      ...{ label: said.card_label, validFrom: said.card_valid_from, validUntil: said.card_valid_until },
    },
  }
}
