import { cpus, release, totalmem } from 'node:os'
import { execa } from 'execa'

/** Where and when the figures were measured. */
export interface Machine {
  readonly date: string
  readonly commit: string
  readonly node: string
  readonly processor: string
  readonly processors: number
  readonly memoryGiB: number
  readonly kernel: string
}

export async function machine(root: string): Promise<Machine> {
  const { stdout } = await execa('git', ['describe', '--always', '--dirty'], { cwd: root, reject: false })
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: String(stdout ?? ''),
    node: process.versions.node,
    processor: (cpus()[0]?.model ?? process.arch).replace(/\((?:R|TM)\)/g, ''),
    processors: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
  }
}

export function machineText({ date, commit, node, processor, processors, memoryGiB, kernel }: Machine): string {
  return `${date}, ${commit || 'no commit'}, Node ${node}, ${processors} × ${processor}, ${memoryGiB} GiB, Linux ${kernel}`
}
