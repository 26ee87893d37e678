/**
 * ADDRESS...: calls every address, sends each some packets that NICs cannot mistake for anything else, and prints, as a JSON
 * object, what the address said and which NICs the packets left by.
 */
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { answerOn } from './answer.ts'

const PORT = 7142
const COUNT = 5
const PAYLOAD = 1200
const HEADERS = 14 + 20 + 8

const addresses = process.argv.slice(2)

function call(host: string): Promise<string> {
  return answerOn(connect({ host, port: PORT, timeout: 3000 }), ({ code, message }) => code ?? message)
}

/** Bytes sent so far, by NIC. */
function counters(): Map<string, number> {
  const lines = readFileSync('/proc/net/dev', 'utf8').split('\n').slice(2)
  return new Map(
    lines.filter(Boolean).map((line) => {
      const [name = '', ...numbers] = line.trim().split(/[:\s]+/)
      return [name, Number(numbers[8])]
    }),
  )
}

async function burst(host: string): Promise<string> {
  const before = counters()
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.on('error', () => {})
  for (let sent = 0; sent < COUNT; sent += 1) {
    await new Promise((resolve) => socket.send(Buffer.alloc(PAYLOAD), 9, host, resolve))
  }
  socket.close()
  const left = [...counters()]
    .map(([nic, bytes]) => [nic, Math.floor((bytes - (before.get(nic) ?? 0)) / (PAYLOAD + HEADERS))] as const)
    .filter(([, packets]) => packets > 0)
    .map(([nic, packets]) => `${packets} packets by ${nic}`)
  return left.join(', ') || 'no packets'
}

const answers = await Promise.all(addresses.map(call))
const seen: Record<string, string> = {}
for (const [index, address] of addresses.entries()) seen[address] = `${answers[index]}, ${await burst(address)}`
console.log(JSON.stringify(seen))
