/**
 * A node to run container runtimes on: mount, network, PID, IPC and UTS namespaces of its own. `/run` is empty, `/etc`,
 * `/opt` and `/var/lib` take what is written and forget it. What a runtime starts, mounts or caches belongs to the node
 * and goes with it; the machine underneath is never touched, so nodes work side by side.
 *
 *     pods ... [node] eth0 10.50.0.10 --veth-- eth0 10.50.31.21 [underlay] lo 198.51.100.21, 203.0.113.10
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { INTERNET, UNDERLAY } from '../support/calico.ts'

/** A host beyond every pod's gateway that the tests' `routes[]` lead to; to INTERNET only a default route does. */
export const SERVICE = { 4: '198.51.100.21', 6: '2001:db8:51::21' } as const

export interface Ran {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number | undefined
}

interface RunOptions {
  readonly env?: Record<string, string>
  readonly input?: string
  readonly reject?: boolean
  /** In milliseconds. */
  readonly timeout?: number
}

// The first process of the node. It ends with the pipe on its stdin, so with this process, however that ends; and with
// it, being the init of its PID namespace, everything else on the node. Bash, because it reaps what it has not started.
const INIT = `
read -r pid _ </proc/self/stat # as the machine counts: /proc is still its own
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm # podman's locks
for directory in /etc /opt /var/lib; do
  over=/run/overlay$directory
  mkdir -p $over/{upper,work}
  mount -t overlay -o lowerdir=$directory,upperdir=$over/upper,workdir=$over/work overlay $directory
done
rm -rf /etc/cni /opt/cni /var/lib/cni
mkdir -p /etc/cni/net.d /opt/cni/bin
echo "$pid"
read -r _
`

// An address older than its link's carrier, or one that waits for duplicate address detection, answers nobody for a
// second or two: hence the order, and accept_dad. The node's default route also makes proxy_arp answer for 169.254.1.1.
const NETWORK = `
sysctl() { echo "$2" >"/proc/sys/net/$1"; }
sysctl ipv6/conf/default/accept_dad 0
sysctl ipv4/ip_forward 1
sysctl ipv6/conf/all/forwarding 1
ip netns add underlay
ip link set lo up
ip link add eth0 type veth peer name eth0 netns underlay
ip link set eth0 up
ip -n underlay -batch - <<BATCH
link set lo up
link set eth0 up
addr add ${UNDERLAY[4]}/16 dev eth0
addr add ${UNDERLAY[6]}/64 dev eth0 nodad
${[SERVICE, INTERNET].map((host) => `addr add ${host[4]} dev lo\naddr add ${host[6]} dev lo`).join('\n')}
route add default via 10.50.0.10
route add ::/0 via fd00:10:50::10
BATCH
ip -batch - <<BATCH
addr add 10.50.0.10/16 dev eth0
addr add fd00:10:50::10/64 dev eth0 nodad
route add default via ${UNDERLAY[4]}
route add ::/0 via ${UNDERLAY[6]}
BATCH
# the first packet between two hosts may take seconds, until their neighbour tables are filled
for host in ${SERVICE[4]} ${SERVICE[6]}; do busybox ping -c 1 -W 5 $host >/dev/null; done
`

// A daemon's, not that of the terminal or test runner: a runtime hands all of it on to the plugins.
const ENVIRONMENT = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' }

export class TestNode {
  /** Names the node's cgroups, the only thing of it that namespaces do not hide. */
  readonly cgroup = `xcr-e2e-${process.pid}-${Date.now().toString(36)}`
  private readonly init
  private pid = 0

  private constructor() {
    const namespaces = '--mount --propagation private --net --pid --fork --kill-child --ipc --uts'.split(' ')
    this.init = spawn('unshare', [...namespaces, 'bash', '--norc', '-ec', INIT], { stdio: ['pipe', 'pipe', 'inherit'] })
  }

  /** @param setUp what the node must have before it is of use; if that fails, there is no node */
  static async start(setUp: (node: TestNode) => Promise<void>): Promise<TestNode> {
    // of test processes that were killed
    removeCgroups((_, pid) => !existsSync(`/proc/${pid}`))
    const node = new TestNode()
    await new Promise<void>((resolve, reject) => {
      node.init.once('exit', (status) => reject(new Error(`the node did not start: exit status ${status}`)))
      node.init.stdout.once('data', (line) => {
        node.pid = Number(line)
        resolve()
      })
    })
    try {
      await node.bash(NETWORK)
      await setUp(node)
      return node
    } catch (error) {
      await node.close()
      throw error
    }
  }

  /** Ends everything on the node. */
  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.init.once('exit', resolve))
    this.init.stdin.end()
    await ended
    removeCgroups((name) => name === this.cgroup)
  }

  /** Runs a command on the node. Fails if it fails, unless told otherwise. */
  async run(
    command: readonly string[],
    { env = {}, input = '', reject = true, timeout = 120_000 }: RunOptions = {},
  ): Promise<Ran> {
    const { stdout, stderr, exitCode } = await execa('nsenter', [...this.enter(), ...command], {
      env: { ...ENVIRONMENT, ...env },
      extendEnv: false,
      input,
      reject,
      stripFinalNewline: false,
      timeout,
    })
    return { stdout, stderr, exitCode }
  }

  /**
   * Runs a script. Without --norc bash takes the socket that Node.js makes of its stdin for a remote shell's, and reads what the
   * machine's root has in .bashrc.
   */
  bash(script: string, { args = [], ...options }: RunOptions & { args?: readonly string[] } = {}): Promise<Ran> {
    return this.run(['bash', '--norc', '-ec', script, ...args], options)
  }

  /** Lets somebody type on the node, until they end it. */
  async interact(command: readonly string[], env: Record<string, string>): Promise<void> {
    const options = { env: { ...ENVIRONMENT, TERM: process.env.TERM, ...env }, stdio: 'inherit' } as const
    await once(spawn('nsenter', [...this.enter(), ...command], options), 'close')
  }

  /** Starts a daemon on the node; its output goes to a file there. */
  daemon(command: readonly string[], log: string): void {
    const shell = ['sh', '-c', 'exec "$@" >"$0" 2>&1 </dev/null', log, ...command]
    spawn('nsenter', [...this.enter(), ...shell], { env: ENVIRONMENT, stdio: 'ignore' })
  }

  /** Runs a command in the network namespace of a pod, with everything else the node's. */
  async inPod(
    netns: string,
    command: readonly string[],
    options: { reject?: boolean; input?: string } = {},
  ): Promise<Ran> {
    return this.run(['nsenter', `--net=${netns}`, ...command], options)
  }

  /** A network namespace as a runtime makes it, before any plugin has run. @returns the value of CNI_NETNS */
  async pod(name: string): Promise<string> {
    const setUp = `echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; ip link set lo up`
    await this.run(['sh', '-ec', `ip netns add ${name}; ip netns exec ${name} sh -ec '${setUp}'`])
    return `/run/netns/${name}`
  }

  /** Where a file of the node is for this process. */
  path(file: string): string {
    return `/proc/${this.pid}/root${file}`
  }

  read(file: string): string {
    return readFileSync(this.path(file), 'utf8')
  }

  write(file: string, content: string | Buffer, mode = 0o644): void {
    mkdirSync(dirname(this.path(file)), { recursive: true })
    writeFileSync(this.path(file), content, { mode })
  }

  list(directory: string): string[] {
    return existsSync(this.path(directory)) ? readdirSync(this.path(directory)).sort() : []
  }

  private enter(): string[] {
    return ['-t', `${this.pid}`, '-m', '-n', '-p', '-i', '-u', '--']
  }
}

// Of every hierarchy of cgroup v1, or the one of v2; children first. They are empty, because their processes are gone;
// another test process that removes the same orphans at the same time is no error.
function removeCgroups(unused: (name: string, pid: string) => boolean): void {
  const found = globSync('/sys/fs/cgroup/{,*/}xcr-e2e-*').filter((directory) => {
    const [name = '', pid = ''] = /xcr-e2e-(\d+)-\w+$/.exec(directory) ?? []
    return unused(name, pid)
  })
  if (found.length > 0) spawnSync('find', [...found, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'])
}

/** The executables of another part of this directory, or of the project. */
export const local = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
