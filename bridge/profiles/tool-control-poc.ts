import type { Profile } from './profile.ts'

/** It publishes no scans: it is told whole lists, and asks to enrol. So it is no reader, and is only told. */
export const toolControlPoc: Profile = {
  name: 'tool-control-poc',
  title: 'tool-control-nfc-reader-poc',
  sources: ['davidmkinman/tool-control-nfc-reader-poc: src/iotcomms.cpp, src/tokens.cpp'],
  decides: 'reader',
  topics: [],
  views: ['hex'],
  settings: { device: { kind: 'level', required: true, says: 'The name of the device, such as ESP32-30AEA49F247A.' } },
  hears: [
    {
      topic: 'topics/cmds/newTokens/{device}',
      json: true,
      take: { card: '/newtokens/0', by: '/authorisingtoken', permission: '/permission' },
      is: 'note',
      what: 'enrol_request',
    },
  ],
  grant: [],
  deny: [],
  accessList: {
    // Cards in hex, of four bytes with six zeros before them.
    whole: [
      {
        topic: 'devices/{device}/tokens',
        payload: {
          authorisedtokens: {
            admin: ['{admins...:zeros14}'],
            inductor: ['{inductors...:zeros14}'],
            operator: ['{cards...:zeros14}'],
          },
        },
      },
    ],
  },
}
