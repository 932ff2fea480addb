import type { Profile } from './profile.ts'

/**
 * FabReader3 passes a card's own commands (APDUs) on to a server that holds its keys. Until Lintel does that, a card at it
 * is noticed and nothing more: its number alone, which anybody can copy, is not what such a reader is bought for. So it is
 * no reader yet.
 */
export const fabreaderApdu: Profile = {
  name: 'fabreader-apdu',
  title: 'FabReader3',
  sources: ['fabhardware/fabreader3: Software/README.txt'],
  decides: 'lintel',
  topics: [],
  views: ['hex'],
  settings: { reader: { kind: 'level', required: true, says: 'The five digits of the reader, such as 00042.' } },
  hears: [
    { topic: 'fabreader', when: { '': { matches: '(?<reader>\\d{5})' } }, is: 'note', what: 'hello' },
    {
      topic: 'fabreader/{reader}/startOTA',
      when: { '': { matches: '(?<card>[0-9A-Fa-f]{8}|[0-9A-Fa-f]{14}|[0-9A-Fa-f]{20})' } },
      is: 'note',
      what: 'card_present',
    },
  ],
  grant: [],
  deny: [],
}
