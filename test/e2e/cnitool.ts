/** libcni as `cnitool` has it, the way an operator tries a conflist by hand. */
import { existsSync } from 'node:fs'
import { installPlugins } from './conflist.ts'
import { local, type Ran, TestNode } from './node.ts'

const BUILT = local('../../.cache/e2e/bin')

/** Absent on a machine without Go, where `scripts/e2e-deps.sh` says so. */
export const cnitoolBuilt = existsSync(`${BUILT}/cnitool`)

export type CnitoolVerb = 'add' | 'check' | 'del' | 'gc' | 'status'

export class Cnitool {
  readonly node: TestNode

  private constructor(node: TestNode) {
    this.node = node
  }

  static async start(): Promise<Cnitool> {
    return new Cnitool(await TestNode.start((node) => installPlugins(node, BUILT)))
  }

  /** @param conflist the network's only configuration; its name is the network's */
  configure(conflist: string): string {
    const { name } = JSON.parse(conflist) as { name: string }
    this.node.write(`/etc/cni/net.d/${name}.conflist`, conflist)
    return name
  }

  /** Runs a verb to its end, whatever the outcome. `via` is a command that starts cnitool. */
  run(verb: CnitoolVerb, network: string, netns: string, via: readonly string[] = []): Promise<Ran> {
    const env = { CNI_PATH: '/opt/cni/bin', CNI_IFNAME: 'eth0' }
    return this.node.run([...via, '/opt/cni/bin/cnitool', verb, network, netns], { env, reject: false })
  }
}

/** The text of a failure, which is what a runtime shows. cnitool prints it around a page of usage. */
export function messageOf({ exitCode, stderr }: Ran): string {
  const [, message] = /^Error: (.*?)\n(?:Usage:|$)/s.exec(stderr) ?? []
  if (exitCode !== 1 || message === undefined) throw new Error(`not a failure: exit status ${exitCode}: ${stderr}`)
  return message
}
