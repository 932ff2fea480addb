/** The bridge's own status, retained: `online` or `offline`, by will as well as by word. */
export const statusTopic = (bridgeId: string): string => `lintel/bridge/${bridgeId}/status`
