/** The cluster of the tests is a guest on this machine. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { execa } from 'execa'
import { expect, onTestFinished, test } from 'vitest'
import { local } from '../e2e/node.ts'

const DIRECTORIES = [
  '/etc/kubernetes',
  '/etc/cni',
  '/opt/cni',
  '/var/lib/kubelet',
  '/var/lib/cni',
  '/root/.kube',
  '/run/netns',
]
const SYSCTLS = ['vm/overcommit_memory', 'kernel/panic', 'kernel/panic_on_oops', 'net/ipv4/ip_forward']

/** What a Kubernetes changes on a machine that is its own. */
async function machine(): Promise<object> {
  return {
    files: DIRECTORIES.map((directory) => (existsSync(directory) ? readdirSync(directory) : 'none')),
    sysctls: SYSCTLS.map((name) => readFileSync(`/proc/sys/${name}`, 'utf8')),
    links: (await execa('ip', ['-br', 'link'])).stdout.split('\n').map((line) => line.split(' ')[0]),
    mounts: readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[1]),
  }
}

/** The processes in a namespace of processes, by its inode. */
const processesIn = (namespace: string) =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => namespaceOf(pid) === namespace)

function namespaceOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return undefined // it has just ended
  }
}

test('nothing of it outlives the process that started it, and the machine is as it was', async () => {
  const before = await machine()
  const starter = spawn(process.execPath, [local('../../scripts/cluster.ts')], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void starter.kill('SIGKILL'))
  let said = ''
  starter.stdout.on('data', (chunk) => (said += chunk))
  starter.stdin.write('echo the node is $(readlink /proc/self/ns/pid), with $(kubectl get nodes -o name)\n')
  await expect.poll(() => said, { timeout: 120_000 }).toMatch(/^the node is pid:\[\d+\], with node\/node$/m)
  const [, namespace = ''] = /^the node is (.*),/m.exec(said) ?? []
  expect(processesIn(namespace).length).toBeGreaterThan(8)
  expect(await machine()).toEqual(before)

  starter.kill('SIGKILL')
  await once(starter, 'exit')
  await expect.poll(() => processesIn(namespace), { timeout: 30_000 }).toEqual([])
  expect(await machine()).toEqual(before)
})
