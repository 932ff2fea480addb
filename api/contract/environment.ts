import * as v from 'valibot'

/** A mistake of the person who runs this: the message says what to do, and no stack trace is wanted. */
export class SetupError extends Error {
  override name = 'SetupError'
}

/** Parse an environment; empty counts as unset. Throws a SetupError with a sentence per variable, never with values. */
export const readEnvironment = <S extends v.GenericSchema>(
  schema: S,
  hints: Record<string, string>,
  env: Record<string, unknown>,
): v.InferOutput<S> => {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== '' && value !== undefined))
  const result = v.safeParse(schema, set)
  if (result.success) return result.output
  const names = new Set(result.issues.map((issue) => String(issue.path?.[0]?.key)))
  const sentence = (name: string) =>
    `${name} is ${name in set ? 'not usable' : 'not set'}: ${hints[name] ?? 'see .env.example'}.`
  throw new SetupError([...names].map(sentence).join(' '))
}

/** The environment of a process, with what a `.env` beside it adds. */
export const environment = (): NodeJS.ProcessEnv => {
  try {
    process.loadEnvFile()
  } catch {
    // No such file: then the environment is all there is.
  }
  return process.env
}
