/**
 * PORT FROM=ADDRESS...: asks every address by TCP and by UDP, from an address of its own, and prints what each said, as a
 * JSON object.
 */
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { answerOn } from './answer.ts'

const [port, ...pairs] = process.argv.slice(2)

// A machine with other work keeps a service, or its first packet, waiting for more than a second.
const TIME_LIMIT_MS = 4000
const UDP_AGAIN_MS = 500

function byTcp(from: string, host: string): Promise<string> {
  const socket = connect({ host, port: Number(port), localAddress: from, timeout: TIME_LIMIT_MS })
  // A strict filter by reverse path answers no question for a neighbour's address either.
  return answerOn(socket, ({ code, message }) => (code === 'EHOSTUNREACH' ? 'no answer' : (code ?? message)))
}

/** UDP tells nobody of a packet that is lost, such as the first, which waits for the address of a neighbour. */
function byUdp(from: string, host: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    const send = () => socket.send('?', Number(port), host, () => {})
    const again = setInterval(send, UDP_AGAIN_MS)
    const settle = (answer: string) => {
      clearInterval(again)
      clearTimeout(late)
      resolve(answer)
      socket.close()
    }
    const late = setTimeout(() => settle('no answer'), TIME_LIMIT_MS)
    socket.once('message', (message) => settle(String(message)))
    // Of what was sent before: it is sent again.
    socket.on('error', () => {})
    socket.bind({ address: from }, send)
  })
}

const answers = await Promise.all(
  pairs.flatMap((pair) => {
    const [from = '', host = ''] = pair.split('=')
    const ask = async (how: string, by: typeof byTcp) => [`${how} ${host}`, await by(from, host)] as const
    return [ask('TCP', byTcp), ask('UDP', byUdp)]
  }),
)
console.log(JSON.stringify(Object.fromEntries(answers)))
