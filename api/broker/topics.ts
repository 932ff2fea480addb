/*
 * Topics and filters as MQTT has them (3.1.1, section 4.7). What a client may subscribe to is asked of the filter and not of
 * what it would hear: so whether one filter covers another, and whether there is a topic that fits both.
 */

const MOST_BYTES = 65_535

const isText = (text: string): boolean =>
  text !== '' && !/[\p{Cc}\p{Cs}]/u.test(text) && new TextEncoder().encode(text).length <= MOST_BYTES

export const isTopic = (text: string): boolean => isText(text) && !/[+#]/.test(text)

/** Wildcards stand for whole levels, and `#` for the last ones. */
export const isFilter = (text: string): boolean => {
  const levels = text.split('/')
  return (
    isText(text) &&
    levels.every((level, i) => !/[+#]/.test(level) || level === '+' || (level === '#' && !levels[i + 1]))
  )
}

/** Topics that begin with `$` are the broker's own: no wildcard at the beginning stands for one. */
const isOfBroker = (text: string): boolean => text.startsWith('$')

/** Does every topic that fits `asked` fit `allowed` too? A topic is a filter that only it fits. */
export const covers = (allowed: string, asked: string): boolean => {
  if (isOfBroker(asked) !== isOfBroker(allowed)) return false
  const [ours, theirs] = [allowed.split('/'), asked.split('/')]
  for (const [i, level] of ours.entries()) {
    if (level === '#') return true
    const other = theirs[i]
    if (other === undefined || other === '#' || (level !== '+' && level !== other)) return false
  }
  return ours.length === theirs.length
}

/** `a/#` stands for `a` too. */
const endsHere = (levels: readonly string[], i: number): boolean =>
  i === levels.length || (levels[i] === '#' && i === levels.length - 1)

/** Is there a topic that fits both? */
export const meet = (one: string, other: string): boolean => {
  if (isOfBroker(one) !== isOfBroker(other)) return false
  const [ours, theirs] = [one.split('/'), other.split('/')]
  for (let i = 0; ; i++) {
    const [a, b] = [ours[i], theirs[i]]
    if (a === undefined || b === undefined) return endsHere(ours, i) && endsHere(theirs, i)
    if (a === '#' || b === '#') return true
    if (a !== '+' && b !== '+' && a !== b) return false
  }
}

type Node<T> = { here: Set<T>; below: Map<string, Node<T>> }
const node = <T>(): Node<T> => ({ here: new Set(), below: new Map() })

export type Places<T> = { add(filter: string, value: T): void; meeting(filter: string): Set<T> }

/** Many topics and filters, and what is known of each: asked for those that one filter meets, without a look at all of them. */
export const places = <T>(): Places<T> => {
  const root = node<T>()
  const all = (from: Node<T>, into: Set<T>) => {
    for (const value of from.here) into.add(value)
    for (const next of from.below.values()) all(next, into)
  }
  const walk = (from: Node<T>, levels: readonly string[], i: number, into: Set<T>): void => {
    const level = levels[i]
    // What ends with `#` here meets whatever goes on, and what is here whoever does.
    const deep = from.below.get('#')
    if (deep) for (const value of deep.here) into.add(value)
    if (level === undefined) {
      for (const value of from.here) into.add(value)
    } else if (level === '#') {
      all(from, into)
    } else if (level === '+') {
      for (const [key, next] of from.below) if (key !== '#') walk(next, levels, i + 1, into)
    } else {
      for (const next of [from.below.get(level), from.below.get('+')]) if (next) walk(next, levels, i + 1, into)
    }
  }
  return {
    add(filter, value) {
      let at = root
      for (const level of filter.split('/')) {
        const next = at.below.get(level) ?? node<T>()
        at.below.set(level, next)
        at = next
      }
      at.here.add(value)
    },
    meeting(filter) {
      const into = new Set<T>()
      walk(root, filter.split('/'), 0, into)
      return into
    },
  }
}

/** A shared subscription (MQTT 5, 4.8.2) hears what its filter does. */
export const unshared = (filter: string): string | undefined => /^\$share\/[^/+#]+\/(.+)$/s.exec(filter)?.[1]
