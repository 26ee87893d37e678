/**
 * Shows the main job on this machine's own kernel: a pod as Calico wires it, the plugin called as a runtime calls it,
 * the routes before and after, and packets as proof. Exits with 1 if one of the proofs fails. Leaves nothing behind.
 *
 *   make demo
 */
import { readFileSync } from 'node:fs'
import { execa } from 'execa'
import { type CalicoPod, calicoPod, INTERNET, POD, UNDERLAY } from '../test/support/calico.ts'
import { removeNamespaces, routes } from '../test/support/netns.ts'
import { call, host } from '../test/support/packets.ts'
import { calicoResult } from '../test/support/results.ts'
import { type Config, environment, run, type Verb } from '../test/support/runtime.ts'
import { diff, fields, prove, proven, say, section } from './demo/report.ts'

const EXAMPLE = 'conf-examples/by-hand.json'
const WAY_WIDTH = 'via fe80::ecee:eeff:feee:eeee dev eth0'.length
const EVERYWHERE = [UNDERLAY[4], UNDERLAY[6], INTERNET[4], INTERNET[6]] as const

try {
  await show(await calicoPod())
  process.exitCode = proven() ? 0 : 1
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
} finally {
  removeNamespaces()
}

async function show(pod: CalicoPod): Promise<void> {
  await using _ = await host(pod.underlay, 'underlay')
  const config: Config = { ...example(), prevResult: calicoResult(pod) }

  section('A pod as Calico wires it, on this kernel: namespaces, veth pairs, proxy ARP')
  say(`pod eth0 ${POD[4]} ── node ── underlay host ${UNDERLAY[4]} ── the internet, say ${INTERNET[4]}`)
  say(`         ${POD[6]}            ${UNDERLAY[6]}                ${INTERNET[6]}`)
  section('Before: everything leaves by Calico, the internet too')
  const before = await routes(pod.netns)
  await provePackets(pod, EVERYWHERE, [])

  section(`ADD, as a runtime calls it, with ${EXAMPLE}`)
  const { stdout, took } = await called('ADD', pod, config)
  const after = await routes(pod.netns)
  diff(before, after)
  say('proto 142 is how the kernel remembers which routes are the plugin’s')
  const result = JSON.parse(stdout)
  section(`The Result, after ${took} ms`)
  fields(result)

  section('After: the underlay answers through eth0, and there is no way to anywhere else')
  await provePackets(pod, [UNDERLAY[4], UNDERLAY[6]], [INTERNET[4], INTERNET[6]])

  section('The rest of a pod’s life')
  const check = await called('CHECK', pod, { ...config, prevResult: result })
  prove('CHECK', `in ${check.took} ms: the routes are as configured`, check.stdout === '')
  const again = await called('ADD', pod, config)
  prove(
    'ADD again',
    `in ${again.took} ms: same Result, same routes`,
    again.stdout === stdout && same(await routes(pod.netns), after),
  )
  const del = await called('DEL', pod, { ...config, prevResult: result })
  const left = (await routes(pod.netns)).filter((route) => route.includes(' proto 142'))
  prove('DEL', `in ${del.took} ms: our routes are gone, Calico’s own are not ours to touch`, left.length === 0)
}

/** For each address: which way the kernel would send a packet, and what became of one. */
async function provePackets(pod: CalicoPod, reached: readonly string[], unreachable: readonly string[]): Promise<void> {
  const answers = await call(pod.netns, ...reached, ...unreachable)
  for (const address of reached) {
    const me = POD[address.includes(':') ? 6 : 4]
    const way = await wayTo(pod, address)
    const answer = answers[address]
    prove(
      address,
      `${way.padEnd(WAY_WIDTH)} answer: ${answer}`,
      / dev eth0\b/.test(way) && answer === `underlay sees ${me}`,
    )
  }
  for (const address of unreachable) {
    const way = await wayTo(pod, address)
    const nowhere = way === 'Network is unreachable' && answers[address] === 'ENETUNREACH'
    prove(address, nowhere ? way : `${way} answer: ${answers[address]}`, nowhere)
  }
}

async function wayTo(pod: CalicoPod, address: string): Promise<string> {
  const { stdout, stderr } = await execa('ip', ['-n', pod.netns, 'route', 'get', address], { reject: false })
  const [, way = ''] = /(via .*? dev \S+)/.exec(stdout) ?? []
  return way || stderr.replace(/^.*answers: /, '')
}

async function called(verb: Verb, pod: CalicoPod, config: Config): Promise<{ stdout: string; took: number }> {
  const start = performance.now()
  const { stdout, stderr, exitCode } = await run(environment(verb, pod), config)
  const took = Math.round(performance.now() - start)
  if (exitCode !== 0) throw new Error(`${verb} failed with exit status ${exitCode}: ${stdout}${stderr}`)
  return { stdout, took }
}

function example(): object {
  return JSON.parse(readFileSync(new URL(`../${EXAMPLE}`, import.meta.url), 'utf8'))
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.join('\n') === b.join('\n')
}
