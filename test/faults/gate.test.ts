/** The plugin behind its gate, killed at any instant as the kernel does for want of memory: what is left, and what mends it. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Gated, gatedPlugin, isFree } from '../support/gate.ts'
import { netnsPath } from '../support/netns.ts'
import { environment, type Verb } from '../support/runtime.ts'
import { hostWhereIpIs } from '../support/tools.ts'
import { call } from './call.ts'
import { addOf, addsAgain, deletes } from './converge.ts'
import { inPod, stateOf } from './pod.ts'
import { SCENARIOS } from './scenarios.ts'

const INSTANTS = 24
const PATIENCE_MS = 20_000
const [scenario] = SCENARIOS

let gated: Gated
beforeAll(async () => {
  gated = await gatedPlugin()
})
afterAll(() => gated[Symbol.dispose]())

function calling(verb: Verb, netns: string, via: readonly string[] = []) {
  const env = environment(verb, { netns, path: netnsPath(netns), ifname: 'eth0', families: [4, 6] })
  const input = JSON.stringify({
    cniVersion: '1.0.0',
    name: 'k8s-pod-network',
    type: 'x-calico-route',
    ...scenario.config,
  })
  const [command = gated.gate, ...args] = [...via, gated.gate]
  return execa(command, args, { input, env, extendEnv: false, reject: false, stripFinalNewline: false })
}

test('through the gate a call gives what it gives without; ip has no slot open, and the call itself has', async () => {
  using host = hostWhereIpIs(
    `for fd in 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done >> $DIRECTORY/descriptors
    readlink /proc/$PPID/fd/9 >> $DIRECTORY/slot
    cat /proc/$PPID/comm > $DIRECTORY/name
    exec $REAL_IP "$@"`,
  )
  await inPod(scenario, [], async (netns) => {
    const { stdout, exitCode } = await calling('ADD', netns, host.via)
    const wanted = await addOf(scenario)
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: wanted.stdout })
    expect(await stateOf(netns)).toBe(wanted.state)
    const seen = (name: string) => readFileSync(path.join(host.directory, name), 'utf8').trim()
    expect(seen('descriptors')).toBe('3')
    expect(seen('slot')).toMatch(/^\/run\/x-calico-route\/[01]$/)
    // So does the kernel's log call a process that it ends.
    expect(seen('name')).toBe('x-calico-route')
  })
})

/** Starts a call and kills it after a part of the time that one takes; returns when nothing of it is left. */
async function killedAt(part: number, duration: number, verb: Verb, netns: string): Promise<boolean> {
  const child = calling(verb, netns)
  await sleep(part * duration)
  const killed = child.kill('SIGKILL')
  await child
  // ip(8) outlives it for as long as the lines take that it was given.
  const left = async () => (await execa('ip', ['netns', 'pids', netns])).stdout
  await expect.poll(left, { timeout: PATIENCE_MS }).toBe('')
  return killed
}

/** The shortest of a few: what else runs on the machine makes a call longer, never shorter. */
async function duration(verb: Verb): Promise<number> {
  const durations: number[] = []
  for (let i = 0; i < 5; i += 1) {
    await inPod(scenario, verb === 'ADD' ? [] : scenario.add, async (netns) => {
      const started = performance.now()
      await calling(verb, netns)
      durations.push(performance.now() - started)
    })
  }
  return Math.min(...durations)
}

test.each(['ADD', 'DEL'] as const)(
  `%s behind the gate, killed at any of ${INSTANTS} instants: the slot is free again, and the next call mends the pod`,
  async (verb) => {
    let whole = await duration(verb)
    let killed = 0
    for (let instant = 0; instant < INSTANTS; instant += 1) {
      await inPod(scenario, [], async (netns) => {
        if (verb === 'DEL') expect((await call(netns, 'ADD', scenario.config)).code).toBe(0)
        const part = (1.1 * instant) / INSTANTS
        if (await killedAt(part, whole, verb, netns)) killed += 1
        // It ended sooner than when the machine was busier.
        else if (part < 1) whole *= part
        for (const slot of [0, 1]) await expect.poll(() => isFree(slot), { timeout: PATIENCE_MS }).toBe(true)
        if (verb === 'ADD') await addsAgain(scenario, netns)
        else await deletes(scenario, netns, scenario.add.length)
      })
    }
    // Most of the instants came before the end.
    expect(killed).toBeGreaterThan(INSTANTS / 2)
  },
)
