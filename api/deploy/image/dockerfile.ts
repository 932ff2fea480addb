import * as v from 'valibot'

// As much of a Dockerfile and of .dockerignore as ours have; whatever else stands there throws.

export type Step = { op: string; flags: Record<string, string>; text: string }
export type Stage = { from: string; name: string | undefined; steps: Step[] }

const KNOWN = ['COPY', 'RUN', 'WORKDIR', 'USER', 'ENV', 'VOLUME', 'EXPOSE', 'HEALTHCHECK', 'CMD']

export const parseDockerfile = (file: string): Stage[] => {
  const stages: Stage[] = []
  for (const line of file
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')) {
    if (line.trim() === '') continue
    const [, op = '', flagText = '', text = ''] = line.match(/^([A-Z]+)\s+((?:--\S+\s+)*)(.*)$/) ?? []
    const flags = Object.fromEntries(
      [...flagText.matchAll(/--([\w-]+)=(\S+)/g)].map(([, name, value]) => [name, value]),
    )
    if (op === 'FROM') {
      const [from = '', , name] = text.split(/\s+/)
      stages.push({ from, name, steps: [] })
    } else if (KNOWN.includes(op)) stages.at(-1)?.steps.push({ op, flags, text })
    else throw new Error(`not understood in the Dockerfile: ${line}`)
  }
  return stages
}

const Words = v.array(v.string())

/** The exec form of CMD, of HEALTHCHECK's CMD, and of VOLUME. */
export const execForm = (text: string): string[] => v.parse(Words, JSON.parse(text.replace(/^CMD\s+/, '')))

export const envOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    text.split(/\s+/).map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  )

const asRegExp = (pattern: string): RegExp => {
  const text = pattern
    .split('/')
    .map((level) =>
      level === '**' ? '(?:.*/)?' : `${level.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*')}/`,
    )
    .join('')
  return new RegExp(`^${text.slice(0, -1)}(?:/|$)`)
}

/** Which paths of the context a build may see: of what matches, the last line decides; what matches nothing is there. */
export const seenBy = (dockerignore: string): ((path: string) => boolean) => {
  const lines = dockerignore.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const rules = lines.map((line) => ({ shown: line.startsWith('!'), pattern: asRegExp(line.replace(/^!/, '')) }))
  return (path) => rules.findLast(({ pattern }) => pattern.test(path))?.shown ?? true
}
