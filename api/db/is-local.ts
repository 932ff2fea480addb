/**
 * Is what this URL names on this machine? With a database here secrets may be made up; one elsewhere is somebody's
 * production.
 */
export const isLocal = (url: string): boolean => {
  try {
    const { hostname } = new URL(url)
    return hostname === '' || hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname)
  } catch {
    return false
  }
}
