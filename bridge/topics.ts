/** The bridge's own status, retained: `online` or `offline`, by will as well as by word. */
export const statusTopic = (bridgeId: string): string => `lintel/bridge/${bridgeId}/status`

/** Where the bridge publishes to itself, to learn how long the way through the broker takes. */
export const echoTopic = (bridgeId: string): string => `lintel/bridge/${bridgeId}/echo`

/** The same for the connection that serves Home Assistant. */
export const homeEchoTopic = (bridgeId: string): string => `lintel/bridge/${bridgeId}/home-assistant/echo`

/** Where a door is said to be as it is (all retained but `event`), and `set`, where Home Assistant gives its orders. */
export const doorTopics = (doorId: string) => {
  const door = `lintel/door/${doorId}`
  return {
    state: `${door}/state`,
    contact: `${door}/contact`,
    tamper: `${door}/tamper`,
    online: `${door}/online`,
    event: `${door}/event`,
    set: `${door}/set`,
  }
}

/** Where a door is announced: an object id may have letters, digits, `_` and `-` in it, and nothing else. */
export const discoveryTopic = (prefix: string, doorId: string): string => `${prefix}/device/lintel_${doorId}/config`

/** The other way round: whose announcement a topic is. */
export const announcedDoor = (topic: string): string | undefined =>
  /\/device\/lintel_([\da-f-]{36})\/config$/.exec(topic)?.[1]

/** Home Assistant says `online` here when it has started. */
export const birthTopic = (prefix: string): string => `${prefix}/status`

/** A topic as bridges of one group subscribe to it (MQTT 5, 4.8.2): each message goes to one of them. */
export const sharedTopic = (group: string, topic: string): string => `$share/lintel-${group}/${topic}`
