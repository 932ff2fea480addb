import * as v from 'valibot'

// What wrangler (4) says, and what is wrong with it: a sentence with the command that mends it, or undefined.

export type Said = { code: number | null; out: string; err: string }

/** Of the binding HYPERDRIVE; undefined while it is the one that the file comes with. */
export const hyperdriveId = (toml: string): string | undefined => {
  const [, section = ''] = toml.match(/^\[\[hyperdrive\]\]\s*\n([^[]*)/m) ?? []
  const [, id = ''] = section.match(/^\s*id\s*=\s*"([0-9a-f]{32})"/m) ?? []
  return /^0*$/.test(id) ? undefined : id
}

/** wrangler says things to people before and after what it says to programs. */
const jsonIn = (text: string): unknown => {
  const [found] = text.match(/^[[{][\s\S]*^[\]}]$|^[[{].*[\]}]$/m) ?? []
  try {
    return JSON.parse(found ?? '')
  } catch {
    return undefined
  }
}

const WhoAmI = v.object({ loggedIn: v.literal(true) })
export const isSignedIn = ({ code, out }: Said): boolean => code === 0 && v.is(WhoAmI, jsonIn(out))

const Secrets = v.array(v.object({ name: v.string() }))

export const secretsSet = ({ code, out, err }: Said): string | undefined => {
  const set = v.safeParse(Secrets, jsonIn(out))
  if (code === 0 && set.success && set.output.some(({ name }) => name === 'APP_KEY')) return undefined
  const isNew = /10007|does not exist/i.test(out + err)
  if (code !== 0 && !isNew)
    return `Which secrets are set cannot be told (wrangler secret list): ${err.trim().split('\n')[0]}`
  return 'The secret APP_KEY is not set: openssl rand -base64 32 | npx wrangler secret put APP_KEY'
}

const Hyperdrive = v.object({
  caching: v.optional(v.object({ disabled: v.optional(v.boolean()) })),
  mtls: v.optional(v.object({ sslmode: v.optional(v.string()) })),
})

/** Cloudflare leaves `caching.disabled` out where it caches. */
export const cachingOff = ({ code, out, err }: Said): string | undefined => {
  const found = v.safeParse(Hyperdrive, jsonIn(out))
  if (code !== 0 || !found.success)
    return `Hyperdrive knows nothing of the id in wrangler.toml: ${(err || out).trim().split('\n')[0]}`
  return found.output.caching?.disabled === true
    ? undefined
    : 'Hyperdrive caches, so that a blocked card would go on opening doors: npx wrangler hyperdrive update <id> --caching-disabled'
}

/** `git status --porcelain`: what is deployed is to be found again. */
export const uncommitted = (status: string): string | undefined => {
  const changed = status.split('\n').filter((line) => line !== '' && !line.startsWith('??'))
  return changed.length === 0
    ? undefined
    : `${changed.length} files are changed and not committed: commit them, so that what runs is on record.`
}
