import type { Profile } from '../profiles/profile.ts'

/** The relay of a VF terminal, opened without anybody having asked at it. */
export const vfRelay: Profile = {
  name: 'vf-access',
  title: 'The relay of a VF or Vguang terminal',
  sources: ['DejaOS/DejaOS: apps/solutions/face/face_access/VF105 MQTT协议（DejaOS版本）_V2.md'],
  decides: 'lintel',
  topics: [],
  views: [],
  settings: {
    device: { kind: 'level', required: true, says: 'The uuid of the terminal.' },
    prefix: { kind: 'topic', says: 'The topic prefix of the terminal, with its slash, if there is one.', default: '' },
  },
  hears: [],
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
}
