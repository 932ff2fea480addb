import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  EXIT_GRACE_MS,
  type Input,
  JUDGE_MS,
  kept,
  OPENING_GRACE_MS,
  QUIET_MS,
  step,
  type Times,
  type Told,
  unwatched,
  type Watched,
} from './door-watch.ts'

const TIMES: Times = { heldOpenMs: 30_000, preAlarmMs: 10_000 }
const open: Input = { is: 'contact', open: true }
const closed: Input = { is: 'contact', open: false }
const tick: Input = { is: 'tick' }
const opening: Input = { is: 'opening', forMs: 3_000 }
const rex: Input = { is: 'rex' }
const back: Input = { is: 'back' }
const mode = (open: boolean): Input => ({ is: 'mode', open })

type Line = [at: number, input: Input]

const run = (lines: readonly Line[], times = TIMES, from: Watched = unwatched()): { state: Watched; told: Told[] } => {
  let state = from
  const told: Told[] = []
  for (const [at, input] of lines) {
    const next = step(state, input, at, times)
    state = next.state
    told.push(...next.told)
  }
  return { state, told }
}
/** A door that said at the start that it is shut. */
const shut = (lines: readonly Line[], times = TIMES) =>
  run([[0, closed], ...lines], times)
    .told.slice(1)
    .map(({ kind, at }) => `${kind.slice(5)} ${at}`)

describe('a door that was shut', () => {
  test.each<[string, Line[], string[]]>([
    [
      'is forced when it opens and nobody let anybody in, dated when it opened',
      [
        [9_000, open],
        [9_000 + JUDGE_MS, tick],
        [20_000, closed],
      ],
      ['opened 9000', 'forced 9000', 'closed 20000', 'forced_ended 20000'],
    ],
    [
      'is forced even when it is shut again before that was judged',
      [
        [9_000, open],
        [9_100, closed],
      ],
      ['opened 9000', 'forced 9000', 'closed 9100', 'forced_ended 9100'],
    ],
    [
      'is not when somebody was let in',
      [
        [9_000, opening],
        [11_000, open],
        [15_000, closed],
      ],
      ['opened 11000', 'closed 15000'],
    ],
    [
      'is not as long as its relay and a hand may take',
      [
        [9_000, opening],
        [12_000 + OPENING_GRACE_MS - 1, open],
        [20_000, closed],
      ],
      [`opened ${11_999 + OPENING_GRACE_MS}`, 'closed 20000'],
    ],
    [
      'is after that',
      [
        [9_000, opening],
        [12_000 + OPENING_GRACE_MS, open],
        [20_000, tick],
      ],
      ['opened 14000', 'forced 14000'],
    ],
    [
      'is not when somebody asked to get out',
      [
        [9_000, rex],
        [9_000 + EXIT_GRACE_MS - 1, open],
        [16_000, closed],
      ],
      ['opened 13999', 'closed 16000'],
    ],
    [
      'is too long after that',
      [
        [9_000, rex],
        [9_000 + EXIT_GRACE_MS, open],
        [16_000, tick],
      ],
      ['opened 14000', 'forced 14000'],
    ],
    [
      'is not when the reason comes a moment after the contact',
      [
        [9_000, open],
        [9_400, rex],
        [11_000, closed],
      ],
      ['opened 9000', 'closed 11000'],
    ],
    [
      'is when the reason comes too late',
      [
        [9_000, open],
        [9_000 + JUDGE_MS, rex],
      ],
      ['opened 9000', 'forced 9000'],
    ],
    [
      'is not while it is meant to be open',
      [
        [9_000, mode(true)],
        [50_000, open],
        [900_000, tick],
      ],
      ['opened 50000'],
    ],
    [
      'is not just after its device came back',
      [
        [9_000, back],
        [9_000 + QUIET_MS - 1, open],
        [25_500, closed],
      ],
      ['opened 23999', 'closed 25500'],
    ],
    [
      'is later after that',
      [
        [9_000, back],
        [9_000 + QUIET_MS, open],
        [26_000, tick],
      ],
      ['opened 24000', 'forced 24000'],
    ],
    [
      'does nothing by being shut again',
      [
        [9_000, closed],
        [10_000, closed],
      ],
      [],
    ],
    [
      'is open only once, however often that is said',
      [
        [9_000, opening],
        [10_000, open],
        [11_000, open],
        [12_000, closed],
        [13_000, closed],
      ],
      ['opened 10000', 'closed 12000'],
    ],
    [
      'is open for too long after a warning, however late anybody looks',
      [
        [9_000, opening],
        [10_000, open],
        [99_000, tick],
        [100_000, closed],
      ],
      ['opened 10000', 'held_open_soon 30000', 'held_open 40000', 'closed 100000', 'held_open_ended 100000'],
    ],
    [
      'is warned of alone when it is shut in time',
      [
        [9_000, opening],
        [10_000, open],
        [35_000, tick],
        [36_000, closed],
        [99_000, tick],
      ],
      ['opened 10000', 'held_open_soon 30000', 'closed 36000'],
    ],
    [
      'is open for too long later when it was forced',
      [
        [10_000, open],
        [45_000, tick],
        [50_000, closed],
      ],
      [
        'opened 10000',
        'forced 10000',
        'held_open_soon 30000',
        'held_open 40000',
        'closed 50000',
        'forced_ended 50000',
        'held_open_ended 50000',
      ],
    ],
    [
      'counts anew when it is not meant to be open any more',
      [
        [9_000, mode(true)],
        [10_000, open],
        [90_000, mode(false)],
        [119_000, tick],
        [121_000, tick],
      ],
      ['opened 10000', 'held_open_soon 110000', 'held_open 120000'],
    ],
    [
      'is not open for too long any more when it is meant to be from now on',
      [
        [9_000, opening],
        [10_000, open],
        [41_000, mode(true)],
        [99_000, closed],
      ],
      ['opened 10000', 'held_open_soon 30000', 'held_open 40000', 'held_open_ended 41000', 'closed 99000'],
    ],
  ])('%s', (_, lines, expected) => {
    expect(shut(lines)).toEqual(expected)
  })

  test.each<[string, Times, string[]]>([
    ['for ever when no time is set', { heldOpenMs: 0, preAlarmMs: 10_000 }, []],
    ['without a warning when none is set', { heldOpenMs: 5_000, preAlarmMs: 0 }, ['held_open 15000']],
    ['without a warning when there is no time for one', { heldOpenMs: 5_000, preAlarmMs: 5_000 }, ['held_open 15000']],
    ['by its own times', { heldOpenMs: 5_000, preAlarmMs: 1_000 }, ['held_open_soon 14000', 'held_open 15000']],
  ])('may stay open %s', (_, times, expected) => {
    expect(
      shut(
        [
          [9_000, opening],
          [10_000, open],
          [999_000, tick],
        ],
        times,
      ),
    ).toEqual(['opened 10000', ...expected])
  })
})

describe('after a start', () => {
  const kinds = (lines: Line[], before: Parameters<typeof unwatched>[0]) =>
    run(lines, TIMES, unwatched(before)).told.map(({ kind }) => kind)

  test.each<[string, Line[], Parameters<typeof unwatched>[0], string[]]>([
    [
      'a door that is found open was not forced, and is told',
      [
        [0, open],
        [19_000, closed],
      ],
      {},
      ['door_opened', 'door_closed'],
    ],
    [
      'nor is one that was shut before',
      [
        [0, open],
        [19_000, closed],
      ],
      { open: false },
      ['door_opened', 'door_closed'],
    ],
    [
      'what it was before is not told again',
      [
        [0, open],
        [1_000, open],
      ],
      { open: true },
      [],
    ],
    ['what it was before is not told again when it was shut', [[0, closed]], { open: false }, []],
    [
      'one that stands open is so for too long from now on',
      [
        [0, open],
        [30_000, tick],
      ],
      { open: true },
      ['door_held_open_soon', 'door_held_open'],
    ],
    [
      'alarms from before end when it is shut',
      [
        [0, open],
        [99_000, tick],
        [100_000, closed],
      ],
      { open: true, forced: true, held: true },
      ['door_closed', 'door_forced_ended', 'door_held_open_ended'],
    ],
    [
      'it can be forced once it was found shut',
      [
        [0, closed],
        [20_000, open],
        [21_000, tick],
      ],
      { open: true },
      ['door_closed', 'door_opened', 'door_forced'],
    ],
  ])('%s', (_, lines, before, expected) => {
    expect(kinds(lines, before)).toEqual(expected)
  })
})

const input: fc.Arbitrary<Input> = fc.oneof(
  { weight: 4, arbitrary: fc.boolean().map((open): Input => ({ is: 'contact', open })) },
  fc.constantFrom<Input>(rex, back, tick),
  fc.nat(5_000).map((forMs): Input => ({ is: 'opening', forMs })),
  fc.boolean().map(mode),
)
const times = fc.record({
  heldOpenMs: fc.constantFrom(0, 500, 5_000, 30_000),
  preAlarmMs: fc.constantFrom(0, 400, 10_000),
})
const story = fc.array(fc.tuple(fc.nat(12_000), input), { maxLength: 40 }).map((steps) => {
  let at = 0
  return steps.map(([after, input]): Line => {
    at += after
    return [at, input]
  })
})

describe('whatever happens', () => {
  test('opened and closed alternate, every alarm ends once, and nothing ends that has not begun', () => {
    fc.assert(
      fc.property(story, times, fc.boolean(), (lines, times, restart) => {
        const half = restart ? lines.length >> 1 : lines.length
        const first = run(lines.slice(0, half), times)
        const second = run(lines.slice(half), times, restart ? unwatched(kept(first.state)) : first.state)
        let [open, forced, held]: (boolean | undefined)[] = []
        for (const { kind } of [...first.told, ...second.told]) {
          if (kind === 'door_opened') expect(open).not.toBe(true)
          if (kind === 'door_closed') expect(open).not.toBe(false)
          if (kind === 'door_forced') expect([open, forced ?? false]).toEqual([true, false])
          if (kind === 'door_forced_ended') expect(forced).toBe(true)
          if (kind === 'door_held_open_soon') expect([open, held ?? false]).toEqual([true, false])
          if (kind === 'door_held_open') expect([open, held ?? false]).toEqual([true, false])
          if (kind === 'door_held_open_ended') expect(held).toBe(true)
          if (kind === 'door_opened' || kind === 'door_closed') open = kind === 'door_opened'
          if (kind === 'door_forced' || kind === 'door_forced_ended') forced = kind === 'door_forced'
          if (kind === 'door_held_open' || kind === 'door_held_open_ended') held = kind === 'door_held_open'
        }
        if (open === false) expect([forced ?? false, held ?? false]).toEqual([false, false])
      }),
      { numRuns: 300 },
    )
  })

  test('nobody who was let in, asked to get out, or found it held open, forces a door', () => {
    fc.assert(
      fc.property(story, times, (lines, times) => {
        const { told } = run([[0, closed], ...lines, [lines.at(-1)?.[0] ?? 0, tick]], times)
        const forcedAt = told.flatMap(({ kind, at }) => (kind === 'door_forced' ? [at] : []))
        for (const opened of forcedAt) {
          let isMeant = false
          for (const [at, input] of lines.filter(([at]) => at <= opened)) {
            if (input.is === 'mode') isMeant = input.open
            if (input.is === 'opening')
              expect(opened >= at + input.forMs + OPENING_GRACE_MS || at === opened).toBe(true)
            if (input.is === 'rex') expect(opened >= at + EXIT_GRACE_MS || at === opened).toBe(true)
          }
          // A mode may change in the very instant.
          if (!lines.some(([at, { is }]) => at === opened && is === 'mode')) expect(isMeant).toBe(false)
        }
      }),
      { numRuns: 300 },
    )
  })
})
