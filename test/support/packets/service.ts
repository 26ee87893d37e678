/**
 * PORT ADDRESS...: answers every TCP and UDP caller of these addresses with `pod sees ADDRESS`, from the address that was
 * asked. Prints a line once it listens.
 */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

const [port, ...addresses] = process.argv.slice(2)
const ready = addresses.flatMap((address) => {
  const tcp = createServer((socket) => {
    socket.on('error', () => {})
    socket.end(`pod sees ${socket.remoteAddress}`)
  })
  const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  udp.on('message', (_, from) => udp.send(`pod sees ${from.address}`, from.port, from.address, () => {}))
  return [
    new Promise<void>((resolve) => tcp.listen(Number(port), address, resolve)),
    new Promise<void>((resolve) => udp.bind(Number(port), address, resolve)),
  ]
})
await Promise.all(ready)
console.log('ready')
