/** What every pseudonym begins with; no card is shown as that. */
export const ERASED = 'Erased '

/** A name for somebody who has none any more: by chance, so that nothing leads from it to who that was. */
export const pseudonym = (): string =>
  ERASED + [...crypto.getRandomValues(new Uint8Array(4))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
