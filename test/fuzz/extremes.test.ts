import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { createNamespaces, netnsPath, removeNamespaces } from '../support/netns.ts'
import { call, vars } from './call.ts'
import { expectAnswer } from './rules.ts'

afterAll(removeNamespaces)

const STDIN_LIMIT = 16 * 1024 * 1024
/** What stdin may hold at most, parsed: five million empty objects. */
const MEMORY_KIB = 1024 * 1024
/** Seconds, on a core that has nothing else to do: here they have. */
const LIMIT_MS = 60_000
/** A kubelet takes no answer of more than 16 MiB, nobody reads one of more than a page. */
const LONGEST_OUTPUT = 100_000

/** `before`, as many `unit`s as stdin may hold, `after`. */
function filled(before: string, unit: string, after: string): string {
  return before + unit.repeat(Math.floor((STDIN_LIMIT - before.length - after.length) / unit.length)) + after
}

const PREV = '"prevResult":{"ips":[{"address":"10.199.3.153/32"}]}'
const CONF = `{"cniVersion":"1.1.0","name":"k8s-pod-network",${PREV}`
const numbered = (n: number, entry: (i: number) => string) => Array.from({ length: n }, (_, i) => entry(i)).join(',')
const host = (i: number) => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}/32`
const manyRoutes = (n: number) => `${CONF},"routes":[${numbered(n, (i) => `{"dst":"${host(i)}"}`)}]}`
const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

/** Documents as long, as deep, or with as much of one thing as they can be. */
const EXTREMES: { what: string; stdin: () => string; verb?: string }[] = [
  { what: 'empty routes', stdin: () => filled(`${CONF},"routes":[{}`, ',{}', ']}') },
  { what: 'one route, many times', stdin: () => filled(`${CONF},"routes":[{"dst":"::/1"}`, ',{"dst":"::/1"}', ']}') },
  { what: '400,000 routes', stdin: () => manyRoutes(400_000) },
  { what: 'CHECK of 10,000 routes', verb: 'CHECK', stdin: () => manyRoutes(10_000) },
  {
    what: 'a route with a million misspelt keys',
    stdin: () => `${CONF},"routes":[{${numbered(1_000_000, (i) => `"k${i}":1`)}}]}`,
  },
  { what: 'one long misspelt key', stdin: () => filled(`${CONF},"routes":[{"dst":"10.50.0.0/16","`, 'a', '":1}]}') },
  { what: 'a dst of dots', stdin: () => filled(`${CONF},"routes":[{"dst":"`, '.', '"}]}') },
  { what: 'a gw of colons', stdin: () => filled(`${CONF},"routes":[{"dst":"::/1","gw":"`, 'a:', '"}]}') },
  { what: 'a long logFile', stdin: () => filled(`${CONF},"logFile":"/`, 'a', '"}') },
  { what: 'a long word', stdin: () => filled(`${CONF},"defaultRoute":"`, '\\n', '"}') },
  { what: '500,000 numbers to keep', stdin: () => `${CONF},"x":[${numbered(500_000, () => '1e999')}]}` },
  { what: 'one long number', stdin: () => filled(`${CONF},"x":`, '1', '}') },
  { what: 'empty objects', stdin: () => filled(`${CONF},"x":[0`, ',{}', ']}') },
  { what: 'an unknown key 100,000 arrays deep', stdin: () => `${CONF},"x":${deep(100_000)}}` },
  { what: 'routes 100,000 arrays deep', stdin: () => `${CONF},"routes":${deep(100_000)}}` },
  { what: 'a route 100,000 arrays deep', stdin: () => `${CONF},"routes":[{"dst":${deep(100_000)}}]}` },
  { what: 'kept numbers 100,000 arrays deep', stdin: () => `${CONF},"x":[1e999,${deep(100_000)}]}` },
  {
    what: 'a prevResult 100,000 arrays deep',
    stdin: () => `${CONF},"routes":[]}`.replace(PREV, `"prevResult":{"x":${deep(100_000)}}`),
  },
  {
    what: 'an args.cni 100,000 objects deep',
    stdin: () => `${CONF},"args":{"cni":${'{"cni":'.repeat(100_000)}1${'}'.repeat(100_000)}}}`,
  },
  { what: 'a long prevResult', stdin: () => filled(CONF.replace(/\]\}$/, ''), ',{"address":"::1/128"}', ']}}') },
  { what: 'one byte too many', stdin: () => ' '.repeat(STDIN_LIMIT + 1) },
]

const MIB = 1024 * 1024
const full = (unit: string) => unit.repeat(Math.floor(MIB / unit.length))

/** Files of a set, of all that they may hold. */
const SETS: { what: string; text: () => string | Uint8Array }[] = [
  { what: 'one line', text: () => full('1') },
  { what: 'one comment', text: () => full('#') },
  { what: 'line ends', text: () => full('\n') },
  { what: 'zero bytes', text: () => full('\0') },
  { what: 'bytes that are no text', text: () => new Uint8Array(MIB).fill(0xff) },
  { what: 'white space before a prefix', text: () => `${full('\u3000').slice(0, MIB / 4)}10.50.0.0/16` },
  { what: 'wrong lines', text: () => full('x\n') },
  { what: 'default routes', text: () => full('::/0\n') },
  { what: 'one prefix, many times', text: () => full('::/1\n') },
  { what: 'more prefixes than there may be', text: () => numbered(60_000, host).replaceAll(',', '\n') },
  { what: 'as many prefixes as there may be', text: () => numbered(10_000, host).replaceAll(',', '\n') },
]
/** 10,000 routes in the configuration take 146 MB. */
const SET_KIB = 160 * 1024

/** Looks at the most memory a process has had so far, until it is gone. @returns what was seen last, in KiB */
function peakOf(): { watch: (pid: number) => void; kib: () => number } {
  let peak = 0
  const watch = (pid: number) => {
    const timer = setInterval(() => {
      try {
        peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? peak)
      } catch {
        clearInterval(timer)
      }
    }, 10)
  }
  return { watch, kib: () => peak }
}

describe('the executable answers within seconds, and in the memory of the longest configuration, to a set of', () => {
  test.each(SETS)('$what', async ({ text }) => {
    const setsDir = mkdtempSync(path.join(tmpdir(), 'xcr-sets-'))
    writeFileSync(path.join(setsDir, 'a'), text())
    const { pod } = await createNamespaces('pod')
    const { watch, kib } = peakOf()
    const routes = [1, 2, 3].map((priority) => ({ set: 'a', priority }))
    const conf = { cniVersion: '1.1.0', name: 'k8s-pod-network', setsDir, routes, prevResult: {} }
    const stdin = new TextEncoder().encode(JSON.stringify(conf))
    const answer = await call(vars('ADD', netnsPath(pod)), stdin, { watch })
    rmSync(setsDir, { recursive: true })
    expectAnswer(answer)
    expect(answer.stdout.length + answer.stderr.length).toBeLessThan(LONGEST_OUTPUT)
    expect(kib()).toBeGreaterThan(0)
    expect(kib()).toBeLessThan(SET_KIB)
  })
})

describe('the executable answers within seconds and a gigabyte', () => {
  test.each(EXTREMES)('$what', async ({ stdin, verb = 'ADD' }) => {
    const { pod } = await createNamespaces('pod')
    const { watch, kib } = peakOf()
    // A pod without the NIC: everything is read and checked, and nothing is to be done.
    const answer = await call(vars(verb, netnsPath(pod)), new TextEncoder().encode(stdin()), { limit: LIMIT_MS, watch })
    expectAnswer(answer)
    expect(answer.stdout.length + answer.stderr.length).toBeLessThan(LONGEST_OUTPUT)
    expect(kib()).toBeGreaterThan(0)
    expect(kib()).toBeLessThan(MEMORY_KIB)
  })
})
