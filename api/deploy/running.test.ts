import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { execForm, parseDockerfile, seenBy } from './image/dockerfile.ts'

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
const [, image] = parseDockerfile(readFileSync('Dockerfile', 'utf8'))
const cmd = execForm(image?.steps.find(({ op }) => op === 'CMD')?.text ?? '[]').join(' ')

const Texts = v.array(v.string())
const Service = v.looseObject({
  image: v.string(),
  restart: v.picklist(['unless-stopped', 'no']),
  read_only: v.literal(true),
  cap_drop: v.tuple([v.literal('ALL')]),
  cap_add: v.optional(Texts, []),
  security_opt: v.tuple([v.literal('no-new-privileges:true')]),
  user: v.optional(v.string()),
  command: v.optional(Texts),
  ports: v.optional(Texts, []),
  volumes: v.optional(Texts, []),
  networks: v.optional(v.union([Texts, v.record(v.string(), v.unknown())]), []),
  depends_on: v.optional(v.record(v.string(), v.strictObject({ condition: v.string() })), {}),
  healthcheck: v.optional(v.looseObject({})),
})
const Compose = v.strictObject({
  name: v.string(),
  'x-careful': v.unknown(),
  'x-lintel': v.unknown(),
  'x-settings': v.unknown(),
  services: v.record(v.string(), Service),
  networks: v.record(v.string(), v.unknown()),
  volumes: v.record(v.string(), v.unknown()),
})
const text = readFileSync('compose.yaml', 'utf8')
const { services, networks, volumes } = v.parse(Compose, parse(text, { merge: true }))
const all = Object.entries(services)

describe('compose.yaml', () => {
  test.each(all)(
    '%s waits for services that are there, and for health only of one that has a check',
    (_, { depends_on }) => {
      for (const [name, { condition }] of Object.entries(depends_on)) {
        const other = services[name]
        expect(other, name).toBeDefined()
        if (condition === 'service_completed_successfully') expect(other?.restart).toBe('no')
        if (condition === 'service_healthy')
          expect(other?.healthcheck !== undefined || other?.image === 'lintel').toBe(true)
      }
    },
  )
  test.each(all)(
    '%s mounts files that are there and volumes that are named, and is in networks that are',
    (_, service) => {
      for (const mount of service.volumes) {
        const [from = '', to = ''] = mount.split(':')
        expect(from.startsWith('./') ? existsSync(from) : from in volumes, from).toBe(true)
        expect(to).toMatch(/^\//)
        if (from.startsWith('./')) expect(mount).toMatch(/:ro$/)
      }
      const names = Array.isArray(service.networks) ? service.networks : Object.keys(service.networks)
      for (const name of names) expect(name in networks, name).toBe(true)
    },
  )
  test('nothing is open to the world but 80, 443 and 8883', () => {
    expect(all.flatMap(([, { ports }]) => ports).sort()).toEqual(['443:443', '443:443/udp', '80:80', '8883:8883'])
  })
  test('only who hands out certificates is root, and only the proxy keeps a capability while it runs', () => {
    expect(all.filter(([, { user }]) => user === '0:0').map(([name]) => name)).toEqual(['certificates'])
    expect(all.filter(([, { cap_add }]) => cap_add.length > 0).map(([name]) => name)).toEqual(['certificates', 'caddy'])
    expect(services['certificates']?.restart).toBe('no')
  })
  test('no secret stands in it: each is asked for, and its absence stops the start', () => {
    const asked = [...text.matchAll(/(?:PASSWORD|APP_KEY|TOKEN|_KEY): "?([^"\n}]*)/g)].map(([, value = '']) => value)
    expect(asked.length).toBeGreaterThan(3)
    for (const value of asked) expect(value).toMatch(/^$|^\$\{\w+:\?/)
  })
  test('the bridge is started as npm run bridge does it, and the certificates’ and the broker’s scripts can be run', () => {
    expect(services['bridge']?.command?.join(' ')).toBe(scripts['bridge'])
    for (const file of ['certificates.sh', 'mosquitto/renew.sh', 'postgres/prepare.sh']) {
      expect(statSync(join('api/deploy', file)).mode & 0o111, file).toBe(0o111)
    }
  })
})

describe('the image', () => {
  const isSeen = seenBy(readFileSync('.dockerignore', 'utf8'))
  test('starts the API as npm run api does it, and is nobody’s by number', () => {
    expect(cmd).toBe(scripts['api'])
    expect(image?.steps.findLast(({ op }) => op === 'USER')?.text).toMatch(/^\d{4,}:\d{4,}$/)
  })
  test.each([
    ['.env', false],
    ['bridge.env', false],
    ['.data/secrets.json', false],
    ['node_modules/hono/package.json', false],
    ['api/app.test.ts', false],
    ['api/access/check.live.test.ts', false],
    ['api/.env', false],
    ['bridge/bench/bench.ts', false],
    ['api/app.ts', true],
    ['bridge/main.ts', true],
    ['drizzle/0000_core.sql', true],
    ['api/db/patches/postgres+3.4.9.patch', true],
    ['package-lock.json', true],
  ])('a build sees %s: %s', (path, seen) => {
    expect(isSeen(path)).toBe(seen)
  })
})

describe('systemd', () => {
  const units = globSync('api/deploy/systemd/*.service')
  const valuesOf = (file: string, name: string) =>
    [...readFileSync(file, 'utf8').matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value ?? '')
  test.each([
    ['lintel-api', 'api'],
    ['lintel-bridge', 'bridge'],
  ])('%s starts what npm run %s does', (unit, name) => {
    expect(valuesOf(`api/deploy/systemd/${unit}.service`, 'ExecStart')).toEqual([`/usr/bin/${scripts[name]}`])
  })
  test.each(units.filter((file) => !file.includes('reload')))(
    '%s is a user without rights, in a system that it cannot write to',
    (file) => {
      expect(valuesOf(file, 'User')[0]).toMatch(/^(lintel|mosquitto)$/)
      expect(valuesOf(file, 'ProtectSystem')).toEqual(['strict'])
      expect(valuesOf(file, 'NoNewPrivileges')).toEqual(['yes'])
      expect(valuesOf(file, 'CapabilityBoundingSet')).toEqual([''])
      expect(valuesOf(file, 'EnvironmentFile')[0]).toMatch(/^\/etc\/lintel\//)
    },
  )
  test('every script and every file of Lintel that a unit names is there', () => {
    for (const line of units.flatMap((file) => valuesOf(file, 'ExecStart'))) {
      for (const path of line.match(/(?:api|bridge)\/[\w./-]+\.ts/g) ?? []) expect(existsSync(path), path).toBe(true)
    }
  })
})
