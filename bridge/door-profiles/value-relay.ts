import type { Effect, Profile } from '../profiles/profile.ts'

const say = (name: string, more: Partial<Effect> = {}): Effect => ({
  topic: '{command}',
  payload: `{${name}:filled}`,
  ...more,
})

/**
 * Whatever opens by a message: Wiren Board, OpenMQTTGateway and anything else with a topic and a payload. Where it does not
 * shut by itself, `close` is sent when its time is over.
 */
export const valueRelay: Profile = {
  name: 'value-relay',
  title: 'A relay that opens by a message of its own',
  sources: ['wirenboard/conventions: README.md', '1technophile/OpenMQTTGateway: main/ZactuatorONOFF.ino'],
  decides: 'lintel',
  topics: [],
  views: [],
  settings: {
    command: { kind: 'topic', required: true, says: 'Where the command goes.' },
    open: {
      kind: 'text',
      default: '1',
      says: 'What opens; {openMs} and {openSeconds} in it are how long, in milliseconds and in seconds.',
    },
    close: { kind: 'text', says: 'What shuts it again, as a second message; left out where it does so by itself.' },
    closeAfterMs: {
      kind: 'number',
      min: 0,
      max: 600_000,
      says: 'When to send what shuts it, in milliseconds after what opened it; after the time of the door, when left out.',
    },
    hold: {
      kind: 'text',
      says: 'What keeps it open until told otherwise; what opens, where there is something to shut it.',
    },
    release: { kind: 'text', says: 'What ends that; what shuts it, when left out.' },
    state: { kind: 'topic', says: 'Where it says whether it is on.' },
    on: { kind: 'text', default: '1', says: 'What it says when it is on.' },
  },
  hears: [{ topic: '{state}', kept: true, is: 'relay', yes: { '': '{on}' }, confirms: true }],
  grant: [
    [say('open'), say('close', { afterMs: '{closeAfterMs}' })],
    [say('open'), say('close', { afterMs: '{openMs}' })],
    [say('open', { without: ['close'] })],
  ],
  deny: [],
  hold: [
    [say('hold', { needs: ['release'] })],
    [say('hold', { needs: ['close'] })],
    [say('open', { needs: ['close'] })],
  ],
  release: [[say('release')], [say('close')]],
}
