import { chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SetupError } from '../../api/contract/environment.ts'
import { connectReader } from '../bench/load.ts'
import { findProgram, freePort, runToEnd } from '../bench/processes.ts'
import { askVersion } from '../bench/servers.ts'
import { type Service, type Services, userNamed } from './processes.ts'

export type Server = { service: Service; port: number; url: string }

const LOOPBACK = '127.0.0.1'

/** A Postgres as it comes: every commit reaches the disk before it is answered. */
export const addPostgres = async (services: Services, folder: string): Promise<Server> => {
  const server = findProgram('postgres', '/usr/lib/postgresql/*/bin', '/usr/pgsql-*/bin')
  if (!server) throw new SetupError('There is no postgres on this machine. Install PostgreSQL.')
  const data = join(folder, 'postgres')
  const user = userNamed('postgres')
  mkdirSync(data, { mode: 0o700 })
  if (user) chownSync(data, user.uid, user.gid)
  const env = { LC_ALL: 'C' }
  const init = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
  await runToEnd('initdb', join(dirname(server), 'initdb'), init, { env, ...(user && { user }) })

  const port = await freePort()
  const settings = [`listen_addresses=${LOOPBACK}`, `port=${port}`, 'unix_socket_directories=', 'log_lock_waits=on']
  const url = `postgres://postgres@${LOOPBACK}:${port}/postgres`
  const service = services.add({
    name: 'postgres',
    command: server,
    args: ['-D', data, ...settings.flatMap((setting) => ['-c', setting])],
    env,
    user,
    stopWith: 'SIGQUIT',
    ready: () => askVersion(url),
  })
  return { service, port, url }
}

/** A Mosquitto that keeps sessions and what waits in them on disk, without a limit. */
export const addMosquitto = async (services: Services, folder: string): Promise<Server> => {
  const mosquitto = findProgram('mosquitto', '/usr/sbin', '/usr/local/sbin')
  if (!mosquitto) throw new SetupError('There is no mosquitto on this machine. Install Mosquitto.')
  const data = join(folder, 'mosquitto')
  mkdirSync(data)
  const port = await freePort()
  const config = join(folder, 'mosquitto.conf')
  const lines = [
    `listener ${port} ${LOOPBACK}`,
    'allow_anonymous true',
    'set_tcp_nodelay true',
    'max_queued_messages 0',
    'persistence true',
    `persistence_location ${data}/`,
    'log_timestamp_format %Y-%m-%dT%H:%M:%S',
    ...(process.getuid?.() === 0 ? ['user root'] : []),
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  const url = `mqtt://${LOOPBACK}:${port}`
  const ready = async () => (await connectReader(url)).endAsync()
  const service = services.add({ name: 'mosquitto', command: mosquitto, args: ['-c', config], ready })
  return { service, port, url }
}
