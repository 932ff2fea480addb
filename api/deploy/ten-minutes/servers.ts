import { appendFileSync, chownSync, copyFileSync, mkdirSync, readFileSync, realpathSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { type Machine, postgresUser, programCalled, repository } from './machine.ts'
import { type Processes, type Service, until } from './processes.ts'

// What is no part of Lintel: Postgres, Mosquitto and Caddy, with the files of api/deploy.

const HOST = '127.0.0.1'

const listens = (port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, HOST, () => {
      socket.destroy()
      resolve()
    })
    socket.on('error', reject)
  })

/** A certificate authority, and certificates for Postgres and the broker. */
export const makeCertificates = (processes: Processes, { tls }: Machine): Promise<string> =>
  processes.run({
    name: 'certificates',
    argv: [
      join(repository, 'api/deploy/certificates.sh'),
      tls,
      'postgres=localhost,127.0.0.1',
      'broker=localhost,127.0.0.1',
    ],
  })

export type Passwords = { owner: string; app: string }

/** Postgres with TLS, the database, its owner, and the role that Lintel runs as. Answers its URL for a role. */
export const startPostgres = async (processes: Processes, machine: Machine, passwords: Passwords) => {
  const { folder, tls, ports } = machine
  const bin = dirname(realpathSync(programCalled('postgres', '/usr/lib/postgresql/*/bin')))
  const user = postgresUser()
  const data = join(folder, 'postgres')
  mkdirSync(data, { mode: 0o700 })
  if (user) chownSync(data, user.uid, user.gid)
  const init = ['-D', data, '-U', 'postgres', '-A', 'peer', '-E', 'UTF8', '--locale=C', '--no-sync']
  await processes.run({ name: 'initdb', argv: [join(bin, 'initdb'), ...init], user })
  const own = join(data, 'tls')
  mkdirSync(own)
  if (user) chownSync(own, user.uid, user.gid)
  for (const name of ['postgres.pem', 'postgres.key']) machine.copyFor(user, join(tls, name), join(own, name))
  const settings = machine.moved('postgres/tls.conf', 'postgres-tls.conf', { '/etc/lintel/tls': own })
  appendFileSync(join(data, 'postgresql.conf'), `include '${settings}'\n`)
  // The superuser comes by the socket, as whoever runs Postgres: `peer` asks the system who that is.
  copyFileSync(join(repository, 'api/deploy/postgres/pg_hba.conf'), join(data, 'pg_hba.conf'))
  const options = [`listen_addresses=${HOST}`, `port=${ports.postgres}`, `unix_socket_directories=${data}`]
  const server = await processes.start(
    {
      name: 'postgres',
      argv: [join(bin, 'postgres'), '-D', data, ...options.flatMap((one) => ['-c', one])],
      user,
      stopWith: 'SIGINT',
    },
    () =>
      processes.run({
        name: 'pg_isready',
        argv: [join(bin, 'pg_isready'), '-q', '-h', HOST, '-p', String(ports.postgres)],
      }),
  )
  const superuser = ['-h', data, '-p', String(ports.postgres), '-U', 'postgres', '-v', 'ON_ERROR_STOP=1', '-q']
  const env = { OWNER_DB_PASSWORD: passwords.owner, APP_DB_PASSWORD: passwords.app }
  const psql = (args: string[]) =>
    processes.run({ name: 'psql', argv: [join(bin, 'psql'), ...superuser, ...args], env, user })
  await psql(['-f', join(repository, 'api/deploy/postgres/prepare.sql')])
  const urlOf = (role: string, password: string) =>
    `postgres://${role}:${password}@localhost:${ports.postgres}/lintel?sslmode=verify-full`
  return {
    server,
    owner: urlOf('lintel_owner', passwords.owner),
    app: urlOf('lintel_app', passwords.app),
    hba: join(data, 'pg_hba.conf'),
    /** A statement as the superuser; `lintel` unless another database is said. */
    sql: (text: string, database = 'lintel') => psql(['-d', database, '-At', '-c', text]),
  }
}
export type Postgres = Awaited<ReturnType<typeof startPostgres>>

/** Mosquitto with TLS, by the files that npm run broker:acl wrote into `rights`. */
export const startMosquitto = async (processes: Processes, machine: Machine, rights: string) => {
  const { folder, tls, ports } = machine
  const kept = join(folder, 'mosquitto')
  mkdirSync(kept)
  const conf = machine.moved('mosquitto/mosquitto.conf', 'mosquitto.conf', {
    '/etc/mosquitto/lintel': rights,
    '/etc/lintel/tls': tls,
    '/var/lib/mosquitto/': `${kept}/`,
    'listener 8883': `listener ${ports.broker} ${HOST}`,
  })
  if (process.getuid?.() === 0) appendFileSync(conf, '\nuser root\n')
  const argv = [programCalled('mosquitto', '/usr/sbin'), '-c', conf]
  return { conf, server: await processes.start({ name: 'mosquitto', argv }, () => listens(ports.broker)) }
}

/** Keeps the broker's accounts and rights as Lintel has them, as a container of compose.yaml does. */
export const keepRights = (processes: Processes, rights: string, broker: Service, env: Record<string, string>) =>
  processes.start(
    {
      name: 'broker-acl',
      argv: [join(repository, 'api/deploy/mosquitto/renew.sh'), rights, String(broker.pid), '1'],
      env: { ...env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}` },
    },
    async () => {},
  )

/** Caddy with HTTPS by an authority of its own, since no public one knows this machine. Answers that authority's certificate. */
export const startCaddy = async (processes: Processes, machine: Machine) => {
  const { folder, ports } = machine
  const conf = machine.moved('caddy/Caddyfile', 'Caddyfile', {
    'admin off': `admin off\n\tskip_install_trust\n\tdefault_bind ${HOST}\n\thttp_port ${ports.http}\n\thttps_port ${ports.https}`,
    'import lintel.caddy': `tls internal\n\timport ${join(folder, 'lintel.caddy')}`,
  })
  copyFileSync(join(repository, 'api/deploy/caddy/lintel.caddy'), join(folder, 'lintel.caddy'))
  const kept = join(folder, 'caddy')
  const env = {
    HOME: kept,
    XDG_DATA_HOME: kept,
    XDG_CONFIG_HOME: kept,
    LINTEL_HOST: 'localhost',
    LINTEL_API: `${HOST}:${ports.api}`,
  }
  const root = join(kept, 'caddy/pki/authorities/local/root.crt')
  const argv = [programCalled('caddy'), 'run', '--config', conf, '--adapter', 'caddyfile']
  const server = await processes.start({ name: 'caddy', argv, env }, () => listens(ports.https))
  return {
    server,
    conf,
    site: join(folder, 'lintel.caddy'),
    root: await until('caddy’s authority', async () => readFileSync(root, 'utf8')),
  }
}
