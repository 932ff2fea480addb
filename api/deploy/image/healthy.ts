// HEALTHCHECK: is what runs in this container ready? Asks the API's /ready at PORT, or the address it is given. Exits 0 or 1.

const [url = `http://127.0.0.1:${process.env['PORT'] ?? 8080}/ready`] = process.argv.slice(2)
try {
  const { ok, status } = await fetch(url, { signal: AbortSignal.timeout(4_000) })
  console.log(status)
  process.exit(ok ? 0 : 1)
} catch (error) {
  console.log(error instanceof Error ? error.message : error)
  process.exit(1)
}
