/** Tables that grow for as long as there are doors: what has to read or rewrite all of one holds up every scan meanwhile. */
const RECORD = ['events', 'event_corrections', 'device_events', 'audit']

type Rule = { refused: RegExp; why: string; unless?: (statement: string, file: string) => boolean }

/** `ADD CONSTRAINT "x"` of a name that the same file dropped: a list of words that grew. */
const comesBack = (statement: string, file: string): boolean => {
  const [, name = ''] = /(?:DROP|ADD) CONSTRAINT "([^"]+)"/i.exec(statement) ?? []
  return file.includes(`DROP CONSTRAINT "${name}"`) && file.includes(`ADD CONSTRAINT "${name}"`)
}
const ofNewTable = (statement: string, file: string): boolean => {
  const [, table = ''] = /(?:\bON|ALTER TABLE) "([^"]+)"/i.exec(statement) ?? []
  return file.includes(`CREATE TABLE "${table}"`)
}
/** Empty in every row that is there, and left empty by the old version: nothing in it can be twice, or point nowhere. */
const ofNewColumn = (statement: string, file: string): boolean => {
  const [, column = ''] = /(?:FOREIGN KEY|UNIQUE|USING \w+) ?\("([^"]+)"\)/i.exec(statement) ?? []
  return file.includes(`ADD COLUMN "${column}"`)
}

const RULES: readonly Rule[] = [
  {
    refused: /\bDROP (TABLE|COLUMN|VIEW|FUNCTION|SCHEMA|TYPE|DEFAULT)\b/i,
    why: 'takes away what the old version uses',
  },
  { refused: /\bDROP (INDEX|TRIGGER)\b/i, why: 'takes away what the old version may build on' },
  { refused: /\bDROP CONSTRAINT\b/i, why: 'takes away what an ON CONFLICT may build on', unless: comesBack },
  { refused: /\bRENAME\b/i, why: 'takes away the name that the old version uses' },
  { refused: /\bSET NOT NULL\b/i, why: 'refuses rows of the old version' },
  { refused: /\bALTER COLUMN "[^"]+" (SET DATA )?TYPE\b/i, why: 'changes what the old version reads and writes' },
  { refused: /\bALTER TYPE\b/i, why: 'changes what the old version reads and writes' },
  {
    refused: /\bADD COLUMN\b(?=.*NOT NULL)(?!.*(DEFAULT|GENERATED))/is,
    why: 'refuses rows of the old version, which do not have it: give it a DEFAULT',
  },
  {
    refused: /\bADD CONSTRAINT\b|\bCREATE UNIQUE INDEX\b/i,
    why: 'may refuse rows of the old version',
    unless: (...of) => comesBack(...of) || ofNewTable(...of) || ofNewColumn(...of),
  },
  { refused: /\b(TRUNCATE|DELETE FROM)\b/i, why: 'takes away rows that the old version may count on' },
]

const LOCKS: readonly Rule[] = [
  {
    refused: new RegExp(`\\bCREATE (UNIQUE )?INDEX .*\\bON "(${RECORD.join('|')})"`, 'is'),
    why: 'lets no scan be recorded while it reads the whole table',
  },
  {
    refused: new RegExp(`\\bALTER TABLE "(${RECORD.join('|')})" .*(ADD CONSTRAINT(?!.*NOT VALID)|GENERATED)`, 'is'),
    why: 'lets no scan be recorded while it reads the whole table: NOT VALID, and VALIDATE CONSTRAINT in a later migration',
  },
]

/** Bodies of functions run later, and comments never. */
const statementsOf = (file: string): string[] =>
  file
    .replaceAll(/\$\$.*?\$\$/gs, "''")
    .split('--> statement-breakpoint')
    .map((part) => part.replaceAll(/^\s*--.*$/gm, '').trim())
    .filter((statement) => statement !== '')

const exempt = (file: string, word: 'contracts' | 'locks'): boolean =>
  new RegExp(`^-- ${word}: .{20,}$`, 'm').test(file)

/**
 * What in a migration the version before could not live with, or the doors would have to wait for, a sentence each. A
 * migration that has to do so says why it may: `-- contracts: ` and which released version stopped using it, `-- locks: ` and
 * how long that takes.
 */
export const contracting = (file: string): string[] => {
  const rules = [...(exempt(file, 'contracts') ? [] : RULES), ...(exempt(file, 'locks') ? [] : LOCKS)]
  return statementsOf(file).flatMap((statement) =>
    rules
      .filter(({ refused, unless }) => refused.test(statement) && !unless?.(statement, file))
      .map(({ why }) => `${statement.split('\n')[0]?.slice(0, 120)}: ${why}`),
  )
}
