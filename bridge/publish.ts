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
 * (QoS 1); rejects with `Unacknowledged` when nobody knows, and with anything else when it did not go out. `lifeMs` is how
 * long it may open: a broker that speaks MQTT 5 drops it then, should its receiver be away.
 */
export const publishOn = (client: MqttClient): ((message: Message, lifeMs?: number) => Promise<void>) => {
  const waiting = new Map<number, () => void>()
  client.on('close', () => {
    for (const giveUp of waiting.values()) giveUp()
  })

  return async ({ topic, payload, qos }, lifeMs) => {
    if (!client.connected) throw new Error('the broker is away')
    const dies = lifeMs !== undefined && speaksFive(client)
    const properties = dies && { properties: { messageExpiryInterval: Math.max(1, Math.floor(lifeMs / 1000)) } }
    const options = { qos, retain: false, ...properties }
    if (qos === 0) {
      await client.publishAsync(topic, payload, options)
      return
    }
    await new Promise<void>((resolve, reject) => {
      let id: number | undefined
      const settle = (error?: Error | null) => {
        clearTimeout(patience)
        if (id !== undefined) waiting.delete(id)
        if (error) reject(error)
        else resolve()
      }
      const giveUp = () => {
        settle(new Unacknowledged())
        if (id !== undefined) client.removeOutgoingMessage(id)
      }
      const patience = setTimeout(giveUp, lifeMs ?? PATIENCE_MS)
      client.publish(topic, payload, options, settle)
      // An id is given at once, as nothing of ours ever waits for what a store has to send again.
      id = client.getLastMessageId()
      waiting.set(id, giveUp)
    })
  }
}
