import { once } from 'node:events'
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { CALLS, SEALED } from '../../api/contract/envelope.ts'
import { whenFileEnds } from '../../api/testing/endings.ts'

export type Replay = {
  url: string
  /** The longest answer about commands that was heard is from now on given again; resolves when it was, so many times. */
  again(times: number): Promise<void>
}

/** Somebody between a bridge and the API, who cannot read what they say, and can say it again. */
export const replayOf = async (apiUrl: string): Promise<Replay> => {
  const heard: string[] = []
  let left = 0
  let done = () => {}
  const server = createServer(async (request, response) => {
    const isPoll = request.url === CALLS.commands.path
    const body = new Uint8Array(await buffer(request))
    if (isPoll && left > 0) {
      left -= 1
      const longest = heard.toSorted((a, b) => b.length - a.length)[0]
      response.writeHead(200, { 'content-type': SEALED }).end(longest)
      if (left === 0) done()
      return
    }
    // A bridge that hangs up is not asked for any more: else what it would have got were lost.
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    const asked = { method: 'POST', headers: { 'content-type': SEALED }, body, signal: gone.signal }
    try {
      const answer = await fetch(`${apiUrl}${request.url}`, asked)
      const text = await answer.text()
      if (isPoll && answer.ok) heard.push(text)
      response.writeHead(answer.status, { 'content-type': SEALED }).end(text)
    } catch {
      response.destroy()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  whenFileEnds(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    again: (times) =>
      new Promise((resolve) => {
        left = times
        done = resolve
      }),
  }
}
