/**
 * PORT ADDRESS...: sends numbered UDP packets to every address, a thousand in a second, until stdin ends. Prints a line once
 * all have answered, and at the end how many were sent and how many of these were lost, as a JSON object.
 */
import { createSocket } from 'node:dgram'

const EVERY_MS = 1
const LAST_ANSWER_MS = 1000

const [port, ...addresses] = process.argv.slice(2)

const flows = addresses.map((address) => {
  const flow = { address, sent: 0, missing: new Set<number>(), failed: 0, hasAnswer: Promise.withResolvers<void>() }
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', (message) => {
    flow.missing.delete(message.readUInt32BE())
    flow.hasAnswer.resolve()
  })
  // Connected: so the kernel says at once if no route leads there.
  socket.connect(Number(port), address)
  socket.on('error', () => flow.failed++)
  const send = () => {
    const message = Buffer.alloc(64)
    message.writeUInt32BE(flow.sent)
    flow.missing.add(flow.sent++)
    socket.send(message, (error) => void (error && flow.failed++))
  }
  return { flow, send, ready: new Promise((resolve) => socket.once('connect', resolve)) }
})
await Promise.all(flows.map(({ ready }) => ready))
const timer = setInterval(() => {
  for (const { send } of flows) send()
}, EVERY_MS)
await Promise.all(flows.map(({ flow }) => flow.hasAnswer.promise))
// The first may have waited for the address of a neighbour, and got lost.
for (const { flow } of flows) flow.missing.clear()
console.log('flowing')
for await (const _ of process.stdin);
clearInterval(timer)
await new Promise((resolve) => setTimeout(resolve, LAST_ANSWER_MS))
const told = flows.map(({ flow: { address, sent, missing, failed } }) => [
  address,
  { sent, lost: missing.size + failed },
])
console.log(JSON.stringify(Object.fromEntries(told)))
process.exit(0)
