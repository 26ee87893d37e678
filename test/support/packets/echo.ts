/** PORT: sends every UDP packet back. Prints a line once it listens. */
import { createSocket } from 'node:dgram'

const [port] = process.argv.slice(2)
for (const type of ['udp4', 'udp6'] as const) {
  const socket = createSocket({ type, ipv6Only: type === 'udp6' })
  socket.on('message', (message, { port: from, address }) => socket.send(message, from, address))
  socket.bind(Number(port), () => console.log('ready'))
}
