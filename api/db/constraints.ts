/**
 * What it means to a person when the database refuses a row: the field at fault and a sentence, and for a foreign key
 * also the sentence for the other direction, when what is deleted is still in use. A test keeps this complete.
 */
type Sentence = { path: string; detail: string; inUse?: string }

export const sentences: Record<string, Sentence> = {
  people_employee_number: { path: 'employeeNumber', detail: 'This employee number belongs to another person.' },
  people_validity: { path: 'validUntil', detail: 'must be after validFrom' },
  erasures_person_id_people_id_fk: {
    path: 'personId',
    detail: 'no such person',
    inUse: 'This person is still being erased from the record. Try again in a while.',
  },
  cards_number: { path: 'number', detail: 'This card number is already in use.' },
  cards_validity: { path: 'validUntil', detail: 'must be after validFrom' },
  cards_canonical: { path: 'number', detail: 'not a card number of this form' },
  cards_person_id_people_id_fk: {
    path: 'personId',
    detail: 'no such person',
    inUse: 'This person still has cards. Delete them or give them to somebody else first.',
  },
  pins_hash: { path: 'pin', detail: 'This PIN cannot be had: choose another.' },
  readers_topic: {
    path: 'topic',
    detail: 'Another reader already listens on this topic, as the same unit if they have any.',
  },
  readers_no_echo: { path: 'replyTopic', detail: 'must not be the topic of the scans' },
  readers_pin_schedule_id_schedules_id_fk: {
    path: 'pinScheduleId',
    detail: 'no such schedule',
    inUse: 'Readers still ask for a PIN by this schedule. Change them first.',
  },
  readers_door_id_doors_id_fk: {
    path: 'doorId',
    detail: 'no such door',
    inUse: 'Readers still open this door. Change them first.',
  },
  doors_hold_schedule_id_schedules_id_fk: {
    path: 'holdScheduleId',
    detail: 'no such schedule',
    inUse: 'Doors are still held open by this schedule. Change them first.',
  },
  lockdown_readers_reader_id_readers_id_fk: { path: 'readerIds', detail: 'no such reader' },
  rules_group_id_groups_id_fk: {
    path: 'groupId',
    detail: 'no such group',
    inUse: 'Rules still name this group. Delete or change them first.',
  },
  rules_schedule_id_schedules_id_fk: {
    path: 'scheduleId',
    detail: 'no such schedule',
    inUse: 'Rules still name this schedule. Delete or change them first.',
  },
  rule_readers_reader_id_readers_id_fk: {
    path: 'readerIds',
    detail: 'no such reader',
    inUse: 'Rules still name this reader. Delete or change them first.',
  },
  accounts_email: { path: 'email', detail: 'Another account has this e-mail address.' },
  accounts_person_id_people_id_fk: {
    path: 'personId',
    detail: 'no such person',
    inUse: 'An account still belongs to this person. Delete or change it first.',
  },
  enrolments_reader_id_readers_id_fk: { path: 'readerId', detail: 'no such reader' },
  enrolments_person_id_people_id_fk: { path: 'personId', detail: 'no such person' },
  enrolments_waiting: { path: 'readerId', detail: 'An enrolment already waits for a card at this reader.' },
  group_people_group_id_groups_id_fk: { path: 'id', detail: 'no such group' },
  group_people_person_id_people_id_fk: { path: 'personId', detail: 'no such person' },
}

/** What triggers of the migrations refuse under a name of their own: a conflict, and the sentence for it. */
export const raised: Record<string, string> = {
  people_erased: 'This person was erased: nothing can be changed of them, or given to them.',
}
