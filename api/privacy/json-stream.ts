/** Members of a JSON object: values, and lists that come page by page and may be longer than memory. */
export type Members = Record<string, unknown>

const isPages = (value: unknown): value is AsyncIterable<readonly unknown[]> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value

async function* listOf(pages: AsyncIterable<readonly unknown[]>): AsyncGenerator<string> {
  let before = '['
  for await (const page of pages) {
    if (page.length === 0) continue
    yield before + page.map((one) => JSON.stringify(one)).join(',\n')
    before = ',\n'
  }
  yield before === '[' ? '[]' : ']'
}

/** The text of such an object, piece by piece: the next one is made when the one before was taken. */
async function* textOf(members: Members): AsyncGenerator<string> {
  let before = '{'
  for (const [name, value] of Object.entries(members)) {
    yield `${before}\n${JSON.stringify(name)}: `
    if (isPages(value)) yield* listOf(value)
    else yield JSON.stringify(value ?? null)
    before = ','
  }
  yield '\n}\n'
}

/**
 * The same as a body. It breaks off where a page cannot be read, so that nobody takes half of it for the whole. `ended` is
 * called once, when it was read to its end or nobody reads any more.
 */
export const jsonStream = (members: Members, ended: () => void): ReadableStream<Uint8Array> => {
  const text = textOf(members)
  const encoder = new TextEncoder()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { value, done } = await text.next()
          if (!done) return controller.enqueue(encoder.encode(value))
          controller.close()
        } catch (error) {
          controller.error(error)
        }
        ended()
      },
      async cancel() {
        await text.return(undefined).catch(() => undefined)
        ended()
      },
    },
    { highWaterMark: 0 },
  )
}
