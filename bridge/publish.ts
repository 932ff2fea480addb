import type { MqttClient } from 'mqtt'
import { speaksFive } from './broker.ts'
import type { Message } from './profiles/profile.ts'

/** How long to wait for the acknowledgement of what opens nothing. Milliseconds. */
const PATIENCE_MS = 2_000

/** Written, and not acknowledged while its connection or its time lasted: perhaps it arrived. It is not sent again. */
export class Unacknowledged extends Error {
  override name = 'Unacknowledged'
}

/**
 * Gives what publishes one message, now or never and never retained. Resolves when it was written (QoS 0) or acknowledged
 * (QoS 1); rejects with `Unacknowledged` when nobody knows, and with anything else when it did not go out: one of them it always
 * does, whatever becomes of the connection. `lifeMs` is how
 * long it may open: a broker that speaks MQTT 5 drops it then, should its receiver be away.
 */
export const publishOn = (client: MqttClient): ((message: Message, lifeMs?: number) => Promise<void>) => {
  const waiting = new Set<() => void>()
  client.on('close', () => {
    for (const giveUp of waiting) giveUp()
  })

  return async ({ topic, payload, qos }, lifeMs) => {
    // A connection that is being torn down counts as one for a moment more, and MQTT.js never calls back what is written on it.
    if (!client.connected || client.stream?.destroyed) throw new Error('the broker is away')
    const dies = lifeMs !== undefined && speaksFive(client)
    const properties = dies && { properties: { messageExpiryInterval: Math.max(1, Math.floor(lifeMs / 1000)) } }
    const options = { qos, retain: false, ...properties }
    await new Promise<void>((resolve, reject) => {
      let id: number | undefined
      const settle = (error?: Error | null) => {
        clearTimeout(patience)
        waiting.delete(giveUp)
        if (error) reject(error)
        else resolve()
      }
      const giveUp = () => {
        settle(new Unacknowledged())
        if (id !== undefined) client.removeOutgoingMessage(id)
      }
      const patience = setTimeout(giveUp, lifeMs ?? PATIENCE_MS)
      waiting.add(giveUp)
      client.publish(topic, payload, options, settle)
      // An id is given at once, as nothing of ours ever waits for what a store has to send again.
      if (qos !== 0) id = client.getLastMessageId()
    })
  }
}
