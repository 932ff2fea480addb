import { Readable } from 'node:stream'
import type { IClientOptions } from 'mqtt'

type Store = NonNullable<IClientOptions['outgoingStore']>

/**
 * Where MQTT.js would keep what was not acknowledged, to send it again on the next connection: nothing is kept. An opening
 * that goes out again goes out late, and everything else of ours is said anew.
 */
export const keepsNothing = (): Store => {
  const store: Store = {
    put(_packet, done) {
      done()
      return store
    },
    createStream: () => Readable.from([]) as unknown as ReturnType<Store['createStream']>,
    del(_packet, done) {
      done()
      return store
    },
    get(_packet, done) {
      done(new Error('nothing is kept'))
      return store
    },
    close: (done) => done(),
  }
  return store
}
