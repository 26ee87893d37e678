import { STATUS_CODES } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { nameProcess } from '../../call/stdio.ts'
import { messageOf } from '../../errors.ts'
import type { Terminal } from '../command.ts'
import { giveWay } from '../looker.ts'
import { jsonLine } from '../output.ts'
import { metricsOf } from './metrics.ts'
import { type AgentState, lacking } from './state.ts'

/** What this process says of itself, as its first line. */
export type Started = { readonly listening: string } | { readonly failed: string }

/** Whoever can reach the port can open connections. The oldest must go for a new one. */
const MAX_CONNECTIONS = 64
/** From the beginning of a connection to the end of its request. */
const REQUEST_MS = 10_000
/** For the client to take the answer and to close. */
const ANSWER_MS = 2000
const MAX_HEADER_BYTES = 4096

/** The agent tells its state at least every few seconds. One that has been silent for longer does not work any more. */
const SILENCE_MS = 30_000

/** What the agent told last. */
interface Told {
  state: AgentState | undefined
  metrics: string
  at: number
}

/**
 * Answers HTTP with what the agent tells on stdin, a line for each state, until stdin ends: then the agent is gone. This
 * process has no capability and is nobody's, and never sees a pod.
 */
export async function serve(
  [address = '', port = '']: readonly string[],
  { out }: Pick<Terminal, 'out'>,
): Promise<number> {
  nameProcess('x-calico-route')
  giveWay()
  const told: Told = { state: undefined, metrics: '', at: performance.now() }
  const server = createServer((socket) => talk(socket, told))
  bound(server)
  server.on('error', (error) => {
    out(jsonLine({ failed: messageOf(error) } satisfies Started))
    process.exit(1)
  })
  server.listen({ host: address, port: Number(port) }, () => {
    const { address: host, port: own, family } = server.address() as AddressInfo
    out(jsonLine({ listening: `${family === 'IPv6' ? `[${host}]` : host}:${own}` } satisfies Started))
  })
  const lines = createInterface({ input: process.stdin })
  lines.on('close', () => process.exit(0))
  for await (const line of lines) {
    const state = JSON.parse(line) as AgentState
    Object.assign(told, { state, metrics: await metricsOf(state), at: performance.now() })
  }
  return 0
}

/** However many clients there are: a new one is answered. */
function bound(server: Server): void {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // A Set keeps the order in which its members came.
    const [oldest] = sockets
    if (sockets.size > MAX_CONNECTIONS) oldest?.destroy()
  })
}

/**
 * One request, one answer, and the end; what else comes is thrown away. Not with Node's server: that takes in all requests of
 * a packet before it ends a connection, so that 60 clients who send a thousand each cost more memory than this process has.
 * @see https://www.rfc-editor.org/rfc/rfc9112
 */
function talk(socket: Socket, told: Told): void {
  let head = ''
  let deadline = setTimeout(() => socket.destroy(), REQUEST_MS)
  socket.on('close', () => clearTimeout(deadline))
  socket.on('error', () => {})
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    if (!socket.writable) return
    head = (head + chunk).slice(0, MAX_HEADER_BYTES)
    const end = head.indexOf('\r\n\r\n')
    const [, method, url] = /^([A-Z]+) (\S+) HTTP\/1\.[01]\r\n/.exec(head) ?? []
    if (end >= 0 && method && url) {
      socket.end(answer(method, url, told))
      clearTimeout(deadline)
      deadline = setTimeout(() => socket.destroy(), ANSWER_MS)
    } else if (end >= 0 || head.length === MAX_HEADER_BYTES || !/^[A-Z]+( |$)/.test(head)) socket.destroy()
  })
}

function answer(method: string, url: string, told: Told): string {
  const { status, text } =
    method === 'GET' || method === 'HEAD' ? reply(url, told) : { status: 405, text: 'only GET and HEAD\n' }
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `Date: ${new Date().toUTCString()}`,
    'Content-Type: text/plain; version=0.0.4; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(text)}`,
    'Connection: close',
    ...(status === 405 ? ['Allow: GET, HEAD'] : []),
    '',
    method === 'HEAD' ? '' : text,
  ].join('\r\n')
}

function reply(url: string, { state, metrics, at }: Told): { status: number; text: string } {
  const silent = performance.now() - at > SILENCE_MS
  switch (url.replace(/\?.*$/s, '')) {
    case '/metrics':
      return state ? { status: 200, text: metrics } : { status: 503, text: 'nothing is known yet\n' }
    case '/healthz':
      return silent ? { status: 503, text: 'the agent has been silent\n' } : { status: 200, text: 'ok\n' }
    case '/readyz': {
      const why = silent ? ['the agent has been silent'] : state ? lacking(state) : ['nothing is known yet']
      return why.length > 0
        ? { status: 503, text: why.map((one) => `${one}\n`).join('') }
        : { status: 200, text: 'ok\n' }
    }
    default:
      return { status: 404, text: '/metrics, /healthz or /readyz\n' }
  }
}
