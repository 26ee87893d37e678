/** PORT ADDRESS...: calls every address at once and prints what each said, as a JSON object. */
import { connect } from 'node:net'
import { answerOn } from './answer.ts'

const [port, ...addresses] = process.argv.slice(2)

// A machine with other work keeps a host, or its first packet, waiting for more than a second.
const TIME_LIMIT_MS = 4000
// Errors of this pod come at once. Routers on the way may say the same later, or not at all.
const AT_ONCE_MS = 1000

function call(host: string): Promise<string> {
  const start = performance.now()
  const socket = connect({ host, port: Number(port), timeout: TIME_LIMIT_MS })
  return answerOn(socket, ({ code, message }) =>
    performance.now() - start < AT_ONCE_MS ? (code ?? message) : 'no answer',
  )
}

const answers = await Promise.all(addresses.map(async (address) => [address, await call(address)] as const))
console.log(JSON.stringify(Object.fromEntries(answers)))
