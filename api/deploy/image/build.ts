import { chmodSync, copyFileSync, cpSync, globSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { envOf, execForm, parseDockerfile, type Stage, seenBy } from './dockerfile.ts'
import { filesOf, type Layer, newLayer, outcomeOf, startIn } from './layers.ts'

export type Image = {
  layer: Layer
  user: string
  cwd: string
  env: Record<string, string>
  volumes: string[]
  healthcheck: string[]
  cmd: string[]
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** What an image says of a build on a machine that reaches its registries by settings of its own. */
const settings = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      (pair): pair is [string, string] =>
        /^(https?_proxy|no_proxy|npm_config_registry)$/i.test(pair[0]) && pair[1] !== undefined,
    ),
  )

/** Files of the context that are seen, by what COPY says: a file's own name, or a folder. */
const copyFromContext = (context: string, sources: string[], to: string, isSeen: (path: string) => boolean): void => {
  for (const source of sources) {
    const from = join(context, source)
    const isFolder = statSync(from).isDirectory()
    const target = isFolder ? to : join(to, source)
    cpSync(from, target, {
      recursive: true,
      // A folder is looked through even where only something in it is seen.
      filter: (path) => statSync(path).isDirectory() || isSeen(relative(context, path)),
    })
  }
}

const chown = async (layer: Layer, owner: string, path: string): Promise<void> => {
  const root = { user: '0:0', cwd: '/', env: { PATH } }
  const { code, said } = await outcomeOf(startIn(layer, ['chown', '-R', owner, path], root))
  if (code !== 0) throw new Error(said)
}

/**
 * Runs each line of the Dockerfile at `context` as Docker would, on top of this machine in place of the image that FROM names,
 * with its Node at /usr/local/bin. Throws what a line said that failed. Answers the last stage.
 */
export const build = async (
  context: string,
  folder: string,
  node: string,
  say: (line: string) => void,
): Promise<Image> => {
  const isSeen = seenBy(readFileSync(join(context, '.dockerignore'), 'utf8'))
  const stages = new Map<string, Image>()
  let last: Image | undefined
  for (const [n, stage] of parseDockerfile(readFileSync(join(context, 'Dockerfile'), 'utf8')).entries()) {
    const layer = newLayer(join(folder, `stage-${n}`))
    const bin = join(filesOf(layer), 'usr/local/bin')
    mkdirSync(bin, { recursive: true })
    copyFileSync(node, join(bin, 'node'))
    chmodSync(join(bin, 'node'), 0o755)
    last = await buildStage(stage, { context, layer, stages, isSeen, say })
    if (stage.name !== undefined) stages.set(stage.name, last)
  }
  if (!last) throw new Error('The Dockerfile has no stage.')
  return last
}

type Around = {
  context: string
  layer: Layer
  stages: Map<string, Image>
  isSeen: (path: string) => boolean
  say: (line: string) => void
}

const buildStage = async (stage: Stage, { context, layer, stages, isSeen, say }: Around): Promise<Image> => {
  const image: Image = { layer, user: '0:0', cwd: '/', env: { PATH }, volumes: [], healthcheck: [], cmd: [] }
  for (const { op, flags, text } of stage.steps) {
    const started = performance.now()
    if (op === 'WORKDIR') image.cwd = text
    else if (op === 'USER') image.user = text
    else if (op === 'ENV') Object.assign(image.env, envOf(text))
    else if (op === 'VOLUME') image.volumes = execForm(text)
    else if (op === 'HEALTHCHECK') image.healthcheck = execForm(text)
    else if (op === 'CMD') image.cmd = execForm(text)
    else if (op === 'COPY') {
      const words = text.split(/\s+/)
      const to = join(image.cwd, words.pop() ?? '')
      const target = join(filesOf(layer), to)
      mkdirSync(dirname(target), { recursive: true })
      const from = flags['from']
      if (from === undefined) copyFromContext(context, words, target, isSeen)
      else {
        const source = stages.get(from)
        if (!source) throw new Error(`There is no stage ${from}.`)
        for (const path of words)
          cpSync(join(filesOf(source.layer), path), target, { recursive: true, verbatimSymlinks: true })
      }
      await chown(layer, flags['chown'] ?? '0:0', to)
    } else if (op === 'RUN') {
      const { user, cwd, env } = image
      mkdirSync(join(filesOf(layer), cwd), { recursive: true })
      const run = { user, cwd, env: { HOME: '/root', ...settings(), ...env } }
      const { code, said } = await outcomeOf(startIn(layer, ['sh', '-c', text], run))
      if (code !== 0) throw new Error(`RUN ${text} ended with ${code}:\n${said}`)
    }
    say(`${op} ${text.slice(0, 100)} (${((performance.now() - started) / 1_000).toFixed(1)} s)`)
  }
  return image
}

/** Paths below a folder of the image, for what is to be in it and what is not. */
export const pathsIn = ({ layer }: Image, pattern: string): string[] => globSync(pattern, { cwd: filesOf(layer) })
export const namesIn = ({ layer }: Image, path: string): string[] => readdirSync(join(filesOf(layer), path))
