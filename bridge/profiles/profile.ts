import type { CardView } from '../../api/contract/card-views.ts'
import type { SettingInfo } from '../../api/contract/profiles.ts'
import type { Vars } from '../../api/contract/reader-topics.ts'

export type { Vars }

/*
 * What a kind of reader (or relay) says and wants to hear: data, and nothing but data, so that a firmware is one file. The
 * engine that reads and writes by it is hear.ts and tell.ts; what of it the API has to know when a reader is saved is
 * api/contract/profiles.json, written by `npm run profiles`.
 *
 * Variables. `{name}` in a topic template stands for one level, `{name...}` for one or more, `{name/}` for any number of
 * levels with the slash behind them, none too. There are: what they stood for in the reader's own topic; the reader's
 * settings, of which one that is false is as if it were not there; what `take` and a pattern's groups found in the message;
 * and these: `{topic}` (the reader's), `{replyTopic}`, `{unit}`, `{card}` (as it was published), `{openMs}`, `{openSeconds}`
 * (rounded up), `{pulseTime}` (as Tasmota counts), `{now}` (Unix seconds), `{expires}` (Unix seconds), `{name}` (the person's,
 * only where it opens), `{reason}`, `{id}` (the scan's, or a number of its own for each message to a door), `{ip}` (as the
 * device last said it).
 * In what is published `{name:how}` writes it as `text`, as `number`, in `lower` or `upper` case, with zeros to the left up to
 * so many digits (`zeros14`), only when it is no larger (`upTo15000`), or `filled`: the variable's text is a template itself.
 */

/**
 * A place in a JSON payload (RFC 6901): `/RC522/UID`; `''` is the payload itself. `/Switch{n}` has a variable in it, and
 * `*{name}` is the place that the setting `name` says.
 */
export type Pointer = string

/**
 * What must be at a place: a value, one of several, a pattern (RegExp source, whole text; what its named groups found is
 * taken), something, or nothing; with `has`, one of several, alone or in an array. Numbers are compared as their text, and
 * `{name}` is the value that the setting says. Where a setting gives no place, nothing is asked of it; where it gives no
 * value, any will do.
 */
export type Test =
  | string
  | number
  | boolean
  | readonly (string | number | boolean)[]
  | { matches: string }
  | { present: boolean }
  | { has: readonly string[] }

/**
 * How the text at a place becomes the card or PIN, where it is not taken as it is: hex to decimal digits; Tasmota's Wiegand,
 * decimal or hex with a trailing `h`, to decimal; keys that were packed four bits each and printed as one decimal number.
 */
export type Rewrite = 'hex-to-decimal' | 'wiegand' | 'digits-of-bcd'

/** `pad`: the variable that says how many digits there must be, where a firmware loses leading zeros. */
export type Take = { at: Pointer; as?: Rewrite; pad?: string }

export type Hear = {
  /** Where; the reader's own topic unless said. */
  topic?: string
  /** Read as JSON; else as text. */
  json?: true
  /** A state: also believed when the broker kept it. Never possible with a card or a PIN. */
  kept?: true
  /** All of these must hold, or the next one is tried. A name in braces is a variable of the reader instead of a place. */
  when?: Readonly<Record<Pointer, Test>>
  /** Only for readers of these views. */
  views?: readonly CardView[]
  /** When it fits, the lines behind it are tried too: a message can say several things. */
  also?: true
  /** What else to remember of the message, by name; missing ones are left out. */
  take?: Readonly<Record<string, Pointer>>
  /** One message, several of them: the array at this place, and then pointers count from each element. `take` counts from the message. */
  each?: Pointer
} & (
  | {
      is: 'scan'
      card: Take
      pin?: Take
      /** The reader decides, unless its setting `decides` says `lintel`: these say that it let somebody in. */
      granted?: Readonly<Record<Pointer, Test>>
      /** When it let somebody in it has opened, whatever its setting says. */
      opened?: true
    }
  | { is: 'pin'; pin: Take }
  /** Something that happened earlier, decided by the reader then. `id` tells it from others when it comes again, and can be `{name}`; `time` is Unix seconds. */
  | { is: 'record'; card: Take; id?: Pointer; time?: Pointer; granted?: Readonly<Record<Pointer, Test>> }
  | {
      is: 'presence' | 'contact' | 'relay' | 'tamper'
      yes: Readonly<Record<Pointer, Test>>
      no?: Readonly<Record<Pointer, Test>>
    }
  /** `words`: what the firmware's words mean. `note`: something else worth knowing (`what`), which opens nothing. */
  | { is: 'lock'; state: Pointer; words: Readonly<Record<string, LockState>> }
  | { is: 'heartbeat' | 'rex' }
  | { is: 'note'; what: string }
  /** Known, and nothing. `why` is for people. */
  | { is: 'ignore'; why: string }
) & {
    /** What is answered whatever it says: an acknowledgement. */
    reply?: readonly Effect[]
    /**
     * Feedback. By such a line the device says that it opened: a relay that is on, a lock that is unlocked or unlocking, a
     * note; a lock that jams says that it could not. By one that `denies` it says no. Where the line takes `id`, it is about
     * the opening of that `{id}` and no other. A profile without a line that confirms never says.
     */
    confirms?: true
    denies?: true
  }

export type LockState = 'locked' | 'unlocked' | 'locking' | 'unlocking' | 'jammed' | 'unknown'

/**
 * A message to publish. In a JSON payload a string that is one variable takes its value, number or text; an array whose only
 * element is `{name...}` takes the list of that name; key order is kept. `needs`: variables that must be there besides;
 * `without`: those that must not. `afterMs`: so much later than what went out before it, as `{openMs}` or a number; such a
 * message ends what the others began, and is certain once they went out: doors/owed.ts.
 */
export type Effect = {
  topic: string
  payload: string | Json
  qos?: 0 | 1
  needs?: readonly string[]
  without?: readonly string[]
  afterMs?: string
}
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** Alternatives: the first whose variables are all there is published, all its messages in order; none, when there is none. */
export type Effects = readonly (readonly Effect[])[]

/** What a reader of this profile can be told besides its topic. `says` is for whoever sets it up. */
export type Setting = SettingInfo

export type Profile = {
  name: string
  /** What people call it, with versions. */
  title: string
  /** The firmware's files or documents that say so. */
  sources: readonly string[]
  /** Who decides at the door: Lintel, or the reader by its own list. With `either` the setting `decides` says. */
  decides: 'lintel' | 'reader' | 'either'
  /** The literal topic of scans must be like one of these. None: it is no reader, only a door. */
  topics: readonly string[]
  /** Topics that are like one of those above but must not be used, with the reason as a sentence. */
  refuses?: Readonly<Record<string, string>>
  /** Where a topic is shared by devices, the place that says which one it is. */
  unit?: Pointer
  /** The views that make sense; the first is the default. Of a door: those of the readers whose cards it understands. */
  views: readonly CardView[]
  /** A PIN can be typed at it; `alone`: nothing else can, so that it opens by a PIN alone unless told otherwise. */
  keypad?: 'with-card' | 'alone'
  holdMs?: number
  /** It says something by itself at least that often, a heartbeat or a state. Milliseconds; only where its firmware says how often. */
  beatMs?: number
  settings: Readonly<Record<string, Setting>>
  /** Its messages are to be believed only after own-protocol/ has looked at them, and its answers are dressed there. */
  verify?: 'lintel'
  hears: readonly Hear[]
  /**
   * Its answer is one that it waits for, or that somebody sees, so it gets it too where what it opens is a door of another
   * profile. Else `grant` opens a relay of its own, which is left alone then.
   */
  answers?: true
  grant: Effects
  deny: Effects
  /**
   * To keep it open until `release`, which shuts it. Without `hold` it is kept open by opening it again and again. `release`
   * is also what a lockdown begins with.
   */
  hold?: Effects
  release?: Effects
  /** What opens starts something, each time anew: it cannot be kept open by opening it again. */
  once?: true
  /** What a device has to be told once, so that its relay lets go by itself after `openMs`. */
  setup?: Effects
  /**
   * How a reader that decides by itself is told whom to let in. `{card}` is in the reader's view, `{user}` a name for it,
   * `{since}` and `{until}` Unix seconds or 0. `whole`: everybody at once, as lists.
   */
  accessList?: {
    add?: readonly Effect[]
    remove?: readonly Effect[]
    query?: readonly Effect[]
    whole?: readonly Effect[]
  }
  /** Wildcard topics on which devices of this profile can be noticed that nobody has set up. */
  noticed?: readonly string[]
  own?: Own
}

/**
 * What the firmware does at the broker besides what stands in its profile, as templates of filters: its other news, and the
 * wildcards by which it listens to all that is told to it. Readers and doors with the same `device` are one device, with one
 * connection. A filter in which a variable is missing is left out, and so is one that would reach another device
 * (api/broker/rules.ts). In `publish` never where it is told to open.
 */
export type Own = { device?: string; publish?: readonly string[]; subscribe?: readonly string[] }

/** What was heard. `vars` is what a later answer may need of the message. */
export type Heard = { vars: Vars; reply: readonly Message[]; feedback?: 'done' | 'refused' } & (
  | { is: 'scan'; card: string; pin?: string; decided?: 'granted' | 'denied' }
  | { is: 'pin'; pin: string }
  | { is: 'record'; card: string; key?: string; time?: number; decided: 'granted' | 'denied' }
  | { is: 'presence' | 'contact' | 'relay' | 'tamper'; on: boolean }
  | { is: 'lock'; state: LockState }
  | { is: 'heartbeat' | 'rex' }
  | { is: 'note'; what: string }
  | { is: 'ignore'; why: string }
)

export type Lists = Readonly<Record<string, readonly string[]>>
export type Message = { topic: string; payload: string; qos: 0 | 1; afterMs?: number }

/** Why a message was nothing. Public words: they are counted by them. */
export type Dropped =
  | 'retained'
  | 'removal'
  | 'foreign_topic'
  | 'not_text'
  | 'not_a_card'
  | 'not_this_view'
  | 'ignored'
  /** A PIN, and no card to go with it. A scan that came as its reader did, and may be an old one. */
  | 'pin_without_card'
  | 'came_back'
  | Refusal
/** Why a message of Lintel's own protocol was not believed. */
export type Refusal = 'unsigned' | 'wrong_signature' | 'too_old' | 'replayed' | 'malformed'
