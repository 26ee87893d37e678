/**
 * An image whose plugin answers in a container of it and not on the node, as when it was built on a newer Debian than the node
 * has: it names another dynamic loader, which only the image has.
 */
import { readFile } from 'node:fs/promises'
import type { TestNode } from '../e2e/node.ts'
import { PLUGIN } from '../support/runtime.ts'

const WORK = '/run/unanswering'

/** @param from an image of ours, whose name the new one does not take */
export async function buildUnanswering(node: TestNode, from: string, name: string): Promise<void> {
  const executable = await readFile(PLUGIN)
  // such as /lib64/ld-linux-x86-64.so.2, between two zeros in the ELF header's neighbourhood
  const loader = /\/lib\w*\/ld-linux-[\w-]+\.so\.\d/.exec(executable.subarray(0, 4096).toString('latin1'))
  if (!loader) throw new Error('the executable names no loader')
  const other = `${loader[0].slice(0, -1)}9`
  executable.write(other, loader.index, 'latin1')
  node.write(`${WORK}/x-calico-route`, executable, 0o755)
  node.write(`${WORK}/Dockerfile`, `FROM ${from}\nCOPY x-calico-route /\nCOPY loader ${other}\n`)
  const build = `
cd ${WORK}
cp -L ${loader[0]} loader
podman build -q --isolation=chroot -t ${name} .
podman save -q --format docker-archive -o image.tar ${name}
ctr -n k8s.io images import image.tar
rm -r ${WORK}
`
  await node.bash(build)
}
