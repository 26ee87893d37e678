/** NAME PORT: answers every TCP caller with `NAME sees ADDRESS`. Prints a line once it listens. */
import { createServer } from 'node:net'

const [name, port] = process.argv.slice(2)
createServer((socket) => {
  socket.on('error', () => {})
  socket.end(`${name} sees ${socket.remoteAddress?.replace('::ffff:', '')}`)
  // On no address in particular: that is IPv6 and IPv4, or IPv4 where the kernel has no IPv6.
}).listen(Number(port), () => console.log('ready'))
