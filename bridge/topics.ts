/** The bridge's own status, retained: `online` or `offline`, by will as well as by word. */
export const statusTopic = (bridgeId: string): string => `lintel/bridge/${bridgeId}/status`

/** Where the bridge publishes to itself, to learn how long the way through the broker takes. */
export const echoTopic = (bridgeId: string): string => `lintel/bridge/${bridgeId}/echo`

/** A topic as bridges of one group subscribe to it (MQTT 5, 4.8.2): each message goes to one of them. */
export const sharedTopic = (group: string, topic: string): string => `$share/lintel-${group}/${topic}`
