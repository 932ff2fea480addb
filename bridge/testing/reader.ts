import type { SiteReader } from '../../api/contract/site.ts'

/** A reader with nothing set up but what is told. */
export const readerOf = (
  told: Pick<SiteReader, 'profile' | 'topic' | 'cardView'> & Partial<SiteReader>,
): SiteReader => ({
  id: '0198c0de-0000-7000-8000-000000000002',
  name: 'Workshop',
  replyTopic: null,
  unit: null,
  settings: {},
  openMs: 3000,
  pinAlone: false,
  holdMs: 3000,
  offline: 'snapshot',
  offlineHours: 24,
  doorId: null,
  lockdown: null,
  evacuation: null,
  ...told,
})
