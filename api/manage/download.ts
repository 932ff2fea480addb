import type { Context } from 'hono'
import type { AppEnv } from '../platform.ts'
import { GONE_MS, type placesFor } from './places.ts'

type Download = {
  /** Its place among those of the caller. */
  of: ReturnType<ReturnType<typeof placesFor>>
  /** What is in it; each part is made when the one before has been taken. */
  parts: AsyncGenerator<string>
  type: string
  name: string
}

/**
 * A file that is sent as fast as it is taken, and never lies whole in memory. It breaks off, and does not end well, when
 * making a part fails, when nobody has read for a minute, or when this process ends: so nobody takes half of it for all.
 */
export const download = (c: Context<AppEnv>, { of: { place, leave }, parts, type, name }: Download): Response => {
  const { closing, later, log } = c.env
  let ended = () => {}
  const untilEnd = new Promise<void>((resolve) => {
    ended = resolve
  })
  // Where connections last only as long as a request, they last until then.
  later(() => untilEnd)

  let over = false
  let breakOff = (_why: string) => {}
  let gone: ReturnType<typeof setTimeout> | undefined
  const stop = () => breakOff('this process ends')
  const end = () => {
    over = true
    clearTimeout(gone)
    closing.removeEventListener('abort', stop)
    leave()
    ended()
  }
  const wait = () => {
    place.readAt = performance.now()
    clearTimeout(gone)
    gone = setTimeout(() => breakOff('nobody reads it'), GONE_MS)
  }

  const encoder = new TextEncoder()
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        breakOff = (why) => {
          if (over) return
          end()
          log('warn', 'download_broke_off', { why })
          controller.error(new Error(`The file broke off: ${why}.`))
        }
        closing.addEventListener('abort', stop)
        wait()
      },
      async pull(controller) {
        wait()
        const part = await parts.next().catch(() => undefined)
        if (over) return
        if (part === undefined) return breakOff('a part of it could not be made')
        if (!part.done) return controller.enqueue(encoder.encode(part.value))
        end()
        controller.close()
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  )
  return c.body(body, 200, {
    'content-type': type,
    'content-disposition': `attachment; filename="${name}"`,
    'cache-control': 'no-store',
  })
}
