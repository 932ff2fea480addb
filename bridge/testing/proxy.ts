// The API's tests pull the same plugs; the bench may look in here, and not into the API.
export { type Cable, proxyTo } from '../../api/testing/cable.ts'
