/** A containerd of its own on a test node, with CRI, `ctr` and Debian's CNI plugins. */
import { until } from '../support/until.ts'
import { installPlugins } from './conflist.ts'
import { Cri } from './cri.ts'
import { IMAGE, writeImage } from './image.ts'
import { type Ran, TestNode } from './node.ts'

const SOCKET = '/run/containerd/containerd.sock'
const CONFIG = '/etc/containerd-e2e.toml'
const LOG = '/run/containerd.log'

// restrict_oom_score_adj: without CAP_SYS_RESOURCE a score below our own is refused.
// netns_mounts_under_state_dir is left at its default: /run/netns is the node's own.
const CONFIGURATION = `
version = 2
root = "/run/containerd-root"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".cni]
  max_conf_num = 0 # attach every conflist there is, all at once
`

export class Containerd {
  readonly node: TestNode
  readonly cri: Cri

  private constructor(node: TestNode) {
    this.node = node
    this.cri = new Cri(node.path(SOCKET), `/${node.cgroup}`)
  }

  static async start(): Promise<Containerd> {
    const node = await TestNode.start(async (node) => {
      await installPlugins(node, '/usr/lib/cni')
      node.write(CONFIG, CONFIGURATION)
      node.daemon(['containerd', '-c', CONFIG], LOG)
      const containerd = new Containerd(node)
      await containerd.answers()
      const image = await writeImage(node)
      for (const namespace of ['k8s.io', 'default']) {
        await containerd.ctr(['-n', namespace, 'images', 'import', '--snapshotter', 'native', image])
      }
    })
    return new Containerd(node)
  }

  /** Makes these the conflists, in this order: eth0, eth1, ... Returns when containerd has read them, in its own time. */
  async configure(...conflists: string[]): Promise<void> {
    await this.node.run(['sh', '-c', 'rm -f /etc/cni/net.d/*'])
    for (const [index, text] of conflists.entries()) this.node.write(`/etc/cni/net.d/${index}.conflist`, text)
    await until(
      async () => (await this.cri.conflists()).join() === conflists.join(),
      15_000,
      () => 'containerd to read its conflists',
    )
  }

  /** `ctr run --cni` takes the first conflist of /etc/cni/net.d, and waits for the container to end. */
  run(name: string, ...command: string[]): Promise<Ran> {
    const options = ['--rm', '--cni', '--snapshotter', 'native', '--cgroup', `/${this.node.cgroup}/${name}`]
    return this.ctr(['run', ...options, IMAGE, name, ...command], { reject: false })
  }

  ctr(args: string[], options: { reject?: boolean } = {}): Promise<Ran> {
    return this.node.run(['ctr', '-a', SOCKET, ...args], options)
  }

  private answers(): Promise<void> {
    return until(
      async () => (await this.ctr(['version'], { reject: false })).exitCode === 0,
      15_000,
      () => `containerd: ${this.node.read(LOG)}`,
    )
  }
}
