import type { CardView } from '../../api/contract/card-views.ts'
import type { Effect, Hear, Pointer, Setting, Test } from './profile.ts'

/* What all versions of esp-rfid have in common. It decides by its own list, and a message says what it did. */

type Guard = Readonly<Record<Pointer, Test>>

const WIEGAND: readonly CardView[] = ['w26', 'w34']
const LETS_IN: Guard = { '/access': { has: ['Always', 'Admin'] } }

/** Messages about a card, or about what looks like one. `views`: those in which the text is taken as it is. */
export const accessLines = (guard: Guard, views: readonly CardView[]): readonly Hear[] => {
  const scan = {
    json: true,
    is: 'scan',
    pin: { at: '/pincode' },
    granted: LETS_IN,
    opened: true,
  } as const
  const wiegand = { ...scan, views: WIEGAND }
  return [
    { json: true, when: { ...guard, '/uid': { matches: '\\s*' }, '/username': 'Button' }, is: 'rex' },
    {
      json: true,
      when: { ...guard, '/uid': { matches: '\\s*' } },
      is: 'ignore',
      why: 'no card: an echo of what the bridge sent, or a build that loses the number',
    },
    { ...scan, when: guard, views, card: { at: '/uid' } },
    { ...wiegand, when: { ...guard, '{wiegand}': 'hex' }, card: { at: '/uid', as: 'hex-to-decimal' } },
    { ...wiegand, when: guard, card: { at: '/uid' } },
  ]
}

/** A PIN that was typed alone is published as a card is. */
export const pinAsCardLines = (guard: Guard): readonly Hear[] => [
  { json: true, when: { ...guard, '/uid': { matches: '\\d{1,7}' } }, views: ['hex'], is: 'note', what: 'card_or_pin' },
  {
    json: true,
    when: { ...guard, '{keypad}': 'true', '/uid': { matches: '\\d{1,8}' } },
    is: 'note',
    what: 'card_or_pin',
  },
]

/** Heartbeats and the like, by which the device's address is learned: its commands must name it. `device`: where it says its name. */
export const addressLines = (topic?: string, device?: Pointer): readonly Hear[] => [
  {
    ...(topic !== undefined && { topic }),
    json: true,
    when: { '/type': ['heartbeat', 'boot'] },
    take: { ip: '/ip', ...(device !== undefined && { device }) },
    is: 'heartbeat',
  },
]

export const eventLines: readonly Hear[] = [
  {
    json: true,
    when: { '/cmd': 'event', '/src': 'door', '/desc': ['Door Open', 'Door Closed'] },
    is: 'contact',
    yes: { '/desc': 'Door Open' },
  },
  { json: true, when: { '/cmd': 'event', '/src': 'tamper' }, is: 'tamper', yes: {} },
  { json: true, when: { '/cmd': 'event' }, is: 'ignore', why: 'a line of its log' },
  {
    json: true,
    when: { '/type': ['adduser', 'deletuid', 'deletusers', 'opendoor', 'open', 'close'] },
    take: { ip: '/ip', done: '/type' },
    is: 'note',
    what: 'done',
  },
]

export const decides: Setting = {
  kind: 'choice',
  choices: ['reader', 'lintel'],
  default: 'reader',
  says: 'reader: it goes by its own list. lintel: Lintel opens by a second message when the reader itself did not.',
}

/** What an opening is acknowledged by. */
export const doneLine: Hear = {
  json: true,
  when: { '/type': ['opendoor', 'open'] },
  take: { ip: '/ip', done: '/type' },
  is: 'note',
  what: 'done',
  confirms: true,
}

export const ip: Setting = {
  kind: 'text',
  says: 'The address of the device; learned from its heartbeats unless given.',
}

export const keypad: Setting = {
  kind: 'boolean',
  says: 'A keypad is connected: a short number may be a PIN, and is not taken for a card.',
}

export const wiegand = (value: 'hex' | 'decimal'): Setting => ({
  kind: 'choice',
  choices: ['hex', 'decimal'],
  default: value,
  says: 'How the device writes what a Wiegand reader sent.',
})

/** The name of the file that the device keeps is the card's, in lower case. */
export const userMessage = (topic: string, type: '0' | '1', since: boolean): Effect => ({
  topic,
  payload: {
    cmd: 'adduser',
    doorip: '{ip}',
    uid: '{card:lower}',
    user: '{user:text}',
    acctype: type,
    ...(since && { validsince: '{since:text}' }),
    validuntil: '{until:text}',
  },
})

export const removeMessage = (topic: string): Effect => ({
  topic,
  payload: { cmd: 'deletuid', doorip: '{ip}', uid: '{card:lower}' },
})
