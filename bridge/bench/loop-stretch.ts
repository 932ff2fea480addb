// Preloaded into a bridge: whoever asks is told for how long at most, since they last asked, its thread did not come round
// to what waited: by the clock, and by what the thread itself computed. On a busy machine the first has in it what others
// computed meanwhile. Milliseconds.

const EVERY_MS = 1
const cpu = () => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}
let most = { wall: 0, cpu: 0 }
let last = { wall: performance.now(), cpu: cpu() }
setInterval(() => {
  const now = { wall: performance.now(), cpu: cpu() }
  most = { wall: Math.max(most.wall, now.wall - last.wall), cpu: Math.max(most.cpu, now.cpu - last.cpu) }
  last = now
}, EVERY_MS).unref()
process.on('message', () => {
  process.send?.(most)
  most = { wall: 0, cpu: 0 }
})
