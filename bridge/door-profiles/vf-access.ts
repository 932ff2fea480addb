import type { Profile } from '../profiles/profile.ts'
import { stateLines, vfAccess } from '../profiles/vf-access.ts'

/** The relay of a VF terminal, opened without anybody having asked at it. */
export const vfRelay: Profile = {
  name: 'vf-access',
  title: 'The relay of a VF or Vguang terminal',
  sources: vfAccess.sources,
  decides: 'lintel',
  topics: [],
  views: [],
  settings: {
    device: { kind: 'level', required: true, says: 'The uuid of the terminal.' },
    prefix: { kind: 'topic', says: 'The topic prefix of the terminal, with its slash, if there is one.', default: '' },
  },
  hears: stateLines('{prefix}access_device/v2/event', { '/uuid': '{device}' }),
  grant: [
    [
      {
        topic: '{prefix}access_device/v2/cmd/{device}/control',
        payload: {
          serialNo: '{id:text}',
          uuid: '{device}',
          time: '{now}',
          sign: '',
          data: { command: 1, extra: {} },
        },
        qos: 1,
      },
    ],
  ],
  deny: [],
  own: { device: 'vf-access {prefix}{device}', subscribe: ['{prefix}access_device/v2/cmd/{device}/+'] },
}
