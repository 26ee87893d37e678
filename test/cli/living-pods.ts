/** Pods that live on a node with an agent, as a runtime and libcni leave them. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'vitest'
import { type CalicoPod, calicoPod } from '../support/calico.ts'
import { routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { type Config, environment, run, type Verb } from '../support/runtime.ts'
import { agent } from './agent.ts'
import { ConfigMap } from './config-map.ts'
import { temporaryDirectory } from './plugin-directory.ts'
import { cacheEntry } from './result-cache.ts'

/** What the pods of the tests reach from the beginning. */
export const UNDERLAY_SET = '10.50.0.0/16\nfd00:10:50::/64\n'
/** And what more, once somebody adds it. */
export const INTERNET_SET = '203.0.113.0/24\n2001:db8:113::/48\n'

export class Node {
  readonly #directory = temporaryDirectory()
  readonly map: ConfigMap

  constructor(data: Readonly<Record<string, string>>) {
    for (const name of ['bin', 'cache']) mkdirSync(this.at(name))
    this.map = new ConfigMap(this.at('map'), data)
  }

  at(name: string): string {
    return path.join(this.#directory, name)
  }

  /** The words of an agent of this node. */
  words(...more: string[]): string[] {
    const own = ['--to', this.at('bin'), '--cache', this.at('cache'), '--sets-from', this.at('map'), '--sets-to']
    return [...own, this.at('sets'), '--no-status', ...more]
  }

  /** A set on the node, without the line that says whose it is. */
  copied(name: string): string {
    return readFileSync(path.join(this.at('sets'), name), 'utf8').replace(/^.*\n/, '')
  }

  /** A pod whose chain has our plugin, before its ADD. */
  async pod(container: string, routes: readonly object[] = [{ set: 'underlay' }]): Promise<LivingPod> {
    return new LivingPod(this, container, await calicoPod(), { routes, setsDir: this.at('sets') })
  }
}

export class LivingPod {
  readonly #node: Node
  readonly container: string
  readonly pod: CalicoPod
  readonly #conf: Exclude<Config, string>
  #result: unknown

  constructor(node: Node, container: string, pod: CalicoPod, conf: Exclude<Config, string>) {
    this.#node = node
    this.container = container
    this.pod = pod
    this.#conf = { ...conf, prevResult: calicoResult(pod) }
  }

  async call(verb: Verb): Promise<string> {
    const conf = verb === 'ADD' ? this.#conf : { ...this.#conf, prevResult: this.#result }
    const answer = await run({ ...environment(verb, this.pod), CNI_CONTAINERID: this.container }, conf)
    expect(answer).toMatchObject({ exitCode: 0, stderr: '' })
    return answer.stdout
  }

  /** ADD, then the cache entry, as libcni writes it after the last plugin of the chain. */
  async attach(): Promise<this> {
    this.#result = JSON.parse(await this.call('ADD'))
    this.remember()
    return this
  }

  remember(): void {
    const { prevResult: _, ...conf } = this.#conf
    const list = {
      cniVersion: '1.0.0',
      name: 'k8s-pod-network',
      plugins: [{ type: 'calico' }, { type: 'x-calico-route', ...conf }],
    }
    const config = Buffer.from(JSON.stringify(list)).toString('base64')
    writeFileSync(this.#entry, cacheEntry(this.container, this.pod.path, this.#result, { config }))
  }

  forget(): void {
    rmSync(this.#entry, { force: true })
  }

  get #entry(): string {
    return this.#node.at(`cache/k8s-pod-network-${this.container}-eth0`)
  }
}

/** A node where the agent has copied the set `underlay`, and is ready. */
export async function nodeWith(...words: string[]) {
  const node = new Node({ underlay: UNDERLAY_SET })
  const running = agent(node.words(...words))
  await running.until(/^ready$/)
  return { node, running }
}

const isOurs = (route: string) => route.includes('proto 142')
/** The destinations of our routes in a pod. */
export const oursOf = async ({ pod }: LivingPod) =>
  (await routes(pod.netns)).filter(isOurs).map((route) => route.split(' ')[0])
export const UNDERLAY_ROUTES = ['10.50.0.0/16', 'fd00:10:50::/64']
export const ALL_ROUTES = ['10.50.0.0/16', '2001:db8:113::/48', '203.0.113.0/24', 'fd00:10:50::/64']

/** Waits until the pod has just these of our routes. */
export async function follows(pod: LivingPod, expected: readonly string[], timeout: number): Promise<void> {
  await expect.poll(() => oursOf(pod), { timeout, interval: 100 }).toEqual(expected)
}

/**
 * How long it may take from the change of the ConfigMap's files to the last pod. Promised are 10 s, which `make bench ONLY=agent`
 * measures; here a dozen other tests may run on the same processors.
 */
export const LIMIT_MS = 30_000
