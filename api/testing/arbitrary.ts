import fc from 'fast-check'
import type { Schema } from './document.ts'

/** Texts that have broken somebody's software: each is a value where another was due. */
const TEXTS = [
  '',
  ' ',
  '\0',
  'A\0B',
  '\ud800',
  'A\udfffB',
  '\ufeff',
  '\u202eA',
  'ﬀ ﷺ',
  'x'.repeat(10_000),
  '😀'.repeat(3_000),
  "'; drop table people; --",
  '%00%27',
  '..%2f..%2f',
  '<script>alert(1)</script>',
  '\r\nset-cookie: a=b',
  '-1',
  '1e309',
  '00000000-0000-0000-0000-000000000000',
  '0000-00-00T00:00:00Z',
  '2026-02-30T25:61:61Z',
  '+275760-09-13T00:00:01Z',
  '-000001-01-01T00:00:00Z',
  '__proto__',
]

const deep = (levels: number): unknown =>
  levels === 0 ? [] : levels % 2 === 0 ? [deep(levels - 1)] : { a: deep(levels - 1) }

/** What may stand where something else was due. An object's own `__proto__` can only come from a parser. */
export const ODD: readonly unknown[] = [
  ...TEXTS,
  null,
  true,
  0,
  -1,
  0.5,
  -0,
  2 ** 31,
  2 ** 53,
  1e308,
  [],
  {},
  [[]],
  [null],
  ['x'],
  Array.from({ length: 2_000 }, () => 'x'),
  deep(200),
  JSON.parse('{"__proto__":{"admin":true}}'),
  { constructor: { prototype: { admin: true } } },
  { length: 1 },
  { toString: 1, valueOf: 1, toJSON: 1 },
  { id: '00000000-0000-0000-0000-000000000000' },
]

/** Field names that nobody has, or that JavaScript has. */
const NAMES = [
  'surplus',
  '__proto__',
  'constructor',
  'toString',
  'id',
  'role',
  'passwordHash',
  '',
  'a.b',
  '$where',
  '\0',
]

const bounded = (schema: Schema) =>
  fc.string({
    unit: 'grapheme',
    minLength: schema.minLength ?? 0,
    maxLength: Math.min(schema.maxLength ?? 60, (schema.minLength ?? 0) + 60),
  })

const textOf = (schema: Schema, ids: readonly string[]): fc.Arbitrary<unknown> => {
  if (schema.format === 'uuid') return fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...ids) }, fc.uuid())
  if (schema.format === 'date-time') {
    return fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') }).map((at) => at.toISOString())
  }
  if (schema.format === 'email') return fc.nat(1e9).map((number) => `fuzz-${number}@example.org`)
  if (schema.pattern !== undefined) return fc.stringMatching(new RegExp(schema.pattern))
  // Digits and hex too: card numbers are texts of which the schema says no more.
  return fc.oneof(
    bounded(schema),
    fc.stringMatching(/^[0-9A-F]{8}$/),
    fc.constantFrom('Europe/Prague', 'site/door', '1'),
  )
}

/** What the schema takes. Words of it that these tests do not know are an error: nothing is passed over. */
export const valid = (schema: Schema, ids: readonly string[]): fc.Arbitrary<unknown> => {
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if ('const' in schema) return fc.constant(schema.const)
  const either = schema.anyOf ?? schema.oneOf
  if (either) return fc.oneof(...either.map((one) => valid(one, ids)))
  switch (schema.type) {
    case 'string':
      return textOf(schema, ids)
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -(2 ** 31), max: schema.maximum ?? 2 ** 31 - 1 })
    case 'number':
      return fc.double({ min: schema.minimum ?? -1e9, max: schema.maximum ?? 1e9, noNaN: true })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array': {
      const least = schema.minItems ?? 0
      const size = { minLength: least, maxLength: Math.min(schema.maxItems ?? 5, least + 5) }
      return fc.array(valid(schema.items ?? { type: 'null' }, ids), size)
    }
    case 'object': {
      const properties = Object.entries(schema.properties ?? {}).map(([name, one]) => [name, valid(one, ids)] as const)
      return fc.record(Object.fromEntries(properties), { requiredKeys: [...(schema.required ?? [])] })
    }
    case undefined:
      if (Object.keys(schema).length === 0) return fc.anything()
  }
  throw new Error(`arbitrary.ts knows no schema such as ${JSON.stringify(schema)}`)
}

type Place = (string | number)[]

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const placesOf = (value: unknown, place: Place = []): Place[] => {
  const inside = Array.isArray(value)
    ? value.flatMap((item, i) => placesOf(item, [...place, i]))
    : isObject(value)
      ? Object.entries(value).flatMap(([name, item]) => placesOf(item, [...place, name]))
      : []
  return [place, ...inside]
}

/** The value with `change` made of what is at the place; undefined takes it away. */
const changeAt = (value: unknown, [step, ...rest]: Place, change: (old: unknown) => unknown): unknown => {
  if (step === undefined) return change(value)
  if (Array.isArray(value)) return value.map((item, i) => (i === step ? changeAt(item, rest, change) : item))
  if (!isObject(value)) return value
  return { ...value, [step]: changeAt(value[step], rest, change) }
}

/** What the schema takes, broken in one place: something odd, nothing at all, or a field too many. */
export const broken = (schema: Schema, ids: readonly string[]): fc.Arbitrary<unknown> =>
  fc
    .tuple(
      valid(schema, ids),
      fc.nat(),
      fc.constantFrom('odd', 'gone', 'more'),
      fc.constantFrom(...ODD),
      fc.constantFrom(...NAMES),
    )
    .map(([value, where, how, odd, name]) => {
      const places = placesOf(value)
      const place = places[where % places.length] ?? []
      return changeAt(value, place, (old) => {
        if (how === 'gone') return undefined
        if (how === 'odd' || !isObject(old)) return odd
        const more = { ...old }
        Object.defineProperty(more, name, { value: odd, enumerable: true })
        return more
      })
    })
