import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { type Machine, machineIn, repository, script } from './machine.ts'
import { type Env, type Processes, processesIn, type Service } from './processes.ts'
import { keepRights, makeCertificates, type Postgres, startCaddy, startMosquitto, startPostgres } from './servers.ts'
import { type Account, brokerAccount, CARD, makeSite, publish, scan, signIn } from './site.ts'

export type Installation = {
  machine: Machine
  processes: Processes
  postgres: Postgres
  services: Record<'api' | 'bridge' | 'mosquitto' | 'caddy' | 'rights', Service>
  /** The settings as the API, and as the bridge has them. */
  api: Env
  bridge: Env
  owner: Env
  /** Where Mosquitto's accounts and rights are. */
  rights: string
  configuration: { mosquitto: string; caddy: string; hba: string }
  scan(card: string): Promise<string>
  /** What `npm run doctor` is asked with. */
  doctor: { env: Env; args: string[] }
}

/** One step of README's "From a clean machine to a first door", with how long it took. */
export type Step = <T>(what: string, work: () => Promise<T>) => Promise<T>

const ADMIN_EMAIL = 'owner@example.org'

const run = (processes: Processes, name: string, env: Env, ...args: string[]) =>
  processes.run({ name, argv: script(name, ...args), env })

/** The whole path, as processes in this folder, at ports that are free; ends with a card that opened the first door. */
export const install = async (folder: string, step: Step): Promise<Installation> => {
  const machine = await machineIn(folder)
  const processes = processesIn(folder)
  try {
    return await installOn(machine, processes, step)
  } catch (error) {
    await processes.stop()
    throw error
  }
}

const installOn = async (machine: Machine, processes: Processes, step: Step): Promise<Installation> => {
  const { folder, tls, ports, secret } = machine
  const ca = join(tls, 'ca.pem')
  const rights = join(folder, 'rights')

  await step('an authority of this site’s own, certificates for Postgres and the broker', () =>
    makeCertificates(processes, machine),
  )
  const passwords = { owner: secret(), app: secret() }
  const postgres = await step('Postgres with TLS, the database and its two roles', () =>
    startPostgres(processes, machine, passwords),
  )
  // The authorities that are believed: one file, for the database and for HTTPS in front.
  const authorities = join(folder, 'authorities.pem')
  writeFileSync(authorities, readFileSync(ca))
  const reached = { NODE_EXTRA_CA_CERTS: authorities, PGSSLROOTCERT: ca }
  const first = { ADMIN_EMAIL, ADMIN_PASSWORD: secret() }
  const backups = join(folder, 'backups')
  const api: Env = {
    ...reached,
    NODE_ENV: 'production',
    PORT: String(ports.api),
    DATA_DIR: join(folder, 'data'),
    DATABASE_URL: postgres.app,
    APP_KEY: Buffer.from(secret(32), 'hex').toString('base64'),
    METRICS_TOKEN: secret(),
    PUBLIC_URL: `https://localhost:${ports.https}`,
    TRUSTED_PROXIES: '127.0.0.1',
    BACKUP_DIR: backups,
    MQTT_URL: `mqtts://localhost:${ports.broker}`,
    MQTT_CA: ca,
  }
  machine.settings('api.env', api)
  const owner = { ...reached, DATABASE_URL: postgres.owner }
  await step('the tables, by who owns them, and the rights of who does not', async () => {
    await run(processes, 'migrate', owner)
    const sql = join(repository, 'api/db/least-privilege.sql')
    await processes.run({
      name: 'psql',
      argv: ['psql', postgres.owner, '-v', 'ON_ERROR_STOP=1', '-q', '-f', sql],
      env: owner,
    })
  })
  const rest = (path: string) =>
    fetch(`http://127.0.0.1:${ports.api}${path}`).then((answer) => {
      if (!answer.ok) throw new Error(`${path} answers ${answer.status}`)
    })
  const apiService = await step('the API, with the first account', () =>
    processes.start({ name: 'api', argv: script('api'), env: { ...api, ...first } }, () => rest('/ready')),
  )
  const { server: mosquitto, conf } = await step('Mosquitto with TLS, and who may do what', async () => {
    await run(processes, 'broker:acl', api, '--out', rights)
    return startMosquitto(processes, machine, rights)
  })
  const rightsService = await keepRights(processes, rights, mosquitto, api)
  const caddy = await step('Caddy with HTTPS in front', () => startCaddy(processes, machine))
  writeFileSync(authorities, readFileSync(ca, 'utf8') + caddy.root)
  setDefaultCACertificates([...getCACertificates('default'), caddy.root])

  const call = await step('the owner signs in by HTTPS and turns the second factor on', () =>
    signIn(api['PUBLIC_URL'] ?? '', ADMIN_EMAIL, first.ADMIN_PASSWORD),
  )
  // The first password is of no more use: not to the API either.
  await apiService.restart({ ADMIN_EMAIL: '', ADMIN_PASSWORD: '' })

  const { bridge, bridgeService } = await step('the bridge, registered, at the broker by its own account', async () => {
    const registered = await call('POST', '/bridges', { name: 'Main building' })
    const account = await brokerAccount(call, 'bridges', registered.id)
    await untilKnown(rights, account)
    const bridge: Env = {
      NODE_ENV: 'production',
      DATA_DIR: join(folder, 'bridge'),
      API_URL: `http://127.0.0.1:${ports.api}`,
      BRIDGE_ID: registered.id,
      BRIDGE_KEY: String(registered['key']),
      BRIDGE_PORT: String(ports.bridge),
      METRICS_TOKEN: api['METRICS_TOKEN'] ?? '',
      MQTT_URL: `mqtts://localhost:${ports.broker}`,
      MQTT_CA: ca,
      MQTT_USERNAME: account.username,
      MQTT_PASSWORD: account.password,
    }
    machine.settings('bridge.env', bridge)
    const log = join(folder, 'bridge.log')
    const listens = async () => {
      if (!readFileSync(log, 'utf8').includes('"event":"listening"')) throw new Error('it does not listen')
    }
    return {
      bridge,
      bridgeService: await processes.start({ name: 'bridge', argv: script('bridge'), env: bridge }, listens),
    }
  })

  const broker = { port: ports.broker, ca }
  const reader = await step('the first reader, person and card', async () => {
    const site = await makeSite(call)
    const account = await brokerAccount(call, 'readers', site.reader)
    await untilKnown(rights, account)
    return account
  })
  const scanned = (card: string) => scan(broker, reader, card)
  await step(
    'a scan by the reader’s own account opens the door, another card does not, a stranger is not heard',
    async () => {
      // The bridge hears of a new reader within two seconds.
      await new Promise((wake) => setTimeout(wake, 2_500))
      await expectHeard(await scanned(CARD), '1')
      await expectHeard(await scanned('1111111'), '0')
      const isRefused = await publish(broker, undefined, CARD).then(
        () => false,
        () => true,
      )
      if (!isRefused) throw new Error('the broker let a stranger publish')
      const { items } = (await call('GET', '/events')) as unknown as { items: { reason: string; source: string }[] }
      const reasons = items.map(({ reason, source }) => `${reason} ${source}`).join(', ')
      if (reasons !== 'unknown_card online, granted online') throw new Error(`on record is: ${reasons}`)
    },
  )

  return {
    machine,
    processes,
    postgres,
    services: { api: apiService, bridge: bridgeService, mosquitto, caddy: caddy.server, rights: rightsService },
    api,
    bridge,
    owner,
    rights,
    configuration: { mosquitto: conf, caddy: caddy.site, hba: postgres.hba },
    scan: scanned,
    doctor: {
      env: { ...bridge, ...api, ...pick(bridge), API_URL: bridge['API_URL'] ?? '' },
      args: ['--http-port', String(ports.http), '--acl', rights],
    },
  }
}

/** Of the bridge's settings, what the API has none of. */
const pick = (bridge: Env): Env =>
  Object.fromEntries(Object.entries(bridge).filter(([name]) => /^(BRIDGE_|MQTT_)/.test(name)))

const expectHeard = async (heard: string, expected: string): Promise<void> => {
  if (heard !== expected) throw new Error(`the door heard ${heard} and not ${expected}`)
}

/** Until the file has the account, and Mosquitto had a moment to read it. */
const untilKnown = async (rights: string, { username }: Account): Promise<void> => {
  for (let left = 1_200; left > 0; left--) {
    if (readFileSync(join(rights, 'acl'), 'utf8').includes(`user ${username}\n`))
      return new Promise((wake) => setTimeout(wake, 1_000))
    await new Promise((wake) => setTimeout(wake, 100))
  }
  throw new Error(`the broker never heard of ${username}`)
}
