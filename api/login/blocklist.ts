import { LONG, SHORT } from './common-passwords.ts'

// Which passwords are refused although they are long enough: what people really use, and what everybody can guess who
// knows whose account it is (NIST SP 800-63B-4, section 3.1.1.2; ASVS 6.2.4, 6.2.11). Not an entropy meter.

/** Whose password it is to be. */
export type Whose = { email: string; name?: string | null | undefined }

const PRODUCT = 'lintel'

/** Of these the list of what was used elsewhere knows too little: what people give the first account of a system. */
const FIRST_ACCOUNT = new Set(['administrator', 'changeme', 'access', 'control', 'security', 'initial'])

/** Fingers on a keyboard: any three neighbours or more of one of these, in either direction, around the end too. */
const WALKS = [
  '1234567890',
  'qwertyuiop',
  'qwertzuiop',
  'azertyuiop',
  'asdfghjkl',
  'qsdfghjklm',
  'zxcvbnm',
  'yxcvbnm',
  'abcdefghijklmnopqrstuvwxyz',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p',
  'qazwsxedcrfvtgbyhnujmikolp',
  '1q2w3e4r5t6y7u8i9o0p',
  'q1w2e3r4t5y6u7i8o9p0',
  ...'0123456789',
].map((keys) => keys.repeat(4))
const REVERSED = WALKS.map((keys) => [...keys].reverse().join(''))

const isWalk = (piece: string): boolean =>
  piece.length >= 3 && [...WALKS, ...REVERSED].some((walk) => walk.includes(piece))

const isYear = (piece: string): boolean => /^(19|20)\d\d$/.test(piece)

/** Unpacked when first asked: not every process chooses passwords. */
const unpack = (list: string) => {
  let words: ReadonlySet<string> | undefined
  return (word: string): boolean => {
    words ??= new Set(list.trim().split(/\s+/))
    return words.has(word)
  }
}
const isShort = unpack(SHORT)
const isLong = unpack(LONG)

const LEET: Record<string, string> = {
  '@': 'a',
  '4': 'a',
  '3': 'e',
  '1': 'i',
  '!': 'i',
  '0': 'o',
  '5': 's',
  $: 's',
  '7': 't',
}

const fold = (text: string): string => text.normalize('NFKC').toLowerCase()
const bare = (text: string): string => text.replaceAll(/[^\p{L}\p{N}]/gu, '')

const LONGEST_PIECE = 40
/** As few pieces as this, with as few characters between them, are a common password still. */
const MOST_PIECES = 3
const MOST_STRAYS = 2

/**
 * Is this put together from few common pieces? A piece may repeat, and spaces and signs between pieces count for nothing.
 * Walks the text from left to right; `fewest` is, for each position and number of stray characters, how few pieces lead
 * there.
 */
const isPutTogether = (text: string, known: ReadonlySet<string>): boolean => {
  const plain = text.replaceAll(/./gsu, (letter) => LEET[letter] ?? letter)
  const isPiece = (from: number, to: number) => {
    const piece = text.slice(from, to)
    const decoded = plain.slice(from, to)
    return (
      isWalk(piece) ||
      isYear(piece) ||
      [piece, decoded].some((word) => isShort(word) || FIRST_ACCOUNT.has(word) || known.has(word))
    )
  }
  const fewest = Array.from({ length: text.length + 1 }, () => Array<number>(MOST_STRAYS + 1).fill(Infinity))
  const reach = (at: number, strays: number, pieces: number) => {
    const there = fewest[at]
    if (there && pieces < (there[strays] ?? 0)) there[strays] = pieces
  }
  reach(0, 0, 0)
  for (let from = 0; from < text.length; from += 1) {
    const reached = (fewest[from] ?? [])
      .map((pieces, strays) => ({ pieces, strays }))
      .filter(({ pieces }) => pieces < MOST_PIECES + 1)
    if (reached.length === 0) continue
    const isSign = bare(text.slice(from, from + 1)) === ''
    for (const { pieces, strays } of reached) reach(from + 1, strays + (isSign ? 0 : 1), pieces)
    for (let to = from + 3; to <= Math.min(text.length, from + LONGEST_PIECE); to += 1) {
      if (!isPiece(from, to)) continue
      const piece = text.slice(from, to)
      for (let end = to; ; end += piece.length) {
        for (const { pieces, strays } of reached) reach(end, strays, pieces + 1)
        if (!text.startsWith(piece, end)) break
      }
    }
  }
  return (fewest[text.length] ?? []).some((pieces) => pieces >= 1 && pieces <= MOST_PIECES)
}

/** The words that say whose account it is, and of what: whole and in parts, of four letters or more. */
const wordsOf = ({ email, name }: Whose): string[] => {
  const [local = '', domain = ''] = email.split('@')
  const whole = [email, local, domain, name ?? '', PRODUCT].map(fold)
  const parts = whole.flatMap((text) => text.split(/[^\p{L}\p{N}]+/u))
  const words = new Set([...whole.map(bare), ...parts].filter((word) => [...word].length >= 4))
  return [...words].sort((one, other) => other.length - one.length)
}

const LEAST_LEFT = 8

/** Why this password may not be chosen for this account, as the end of a sentence; undefined when it may. */
export const objection = (password: string, whose: Whose): string | undefined => {
  const text = fold(password)
  const words = wordsOf(whose)
  const left = words.reduce((rest, word) => rest.replaceAll(word, ''), bare(text))
  if ([...left].length < LEAST_LEFT && [...left].length < [...bare(text)].length) {
    return 'is little more than your e-mail address, your name or the name of this product'
  }
  if (isLong(text) || isLong(bare(text)) || isPutTogether(text, new Set(words))) {
    return 'is among the most common passwords, or is put together from them'
  }
  return undefined
}
