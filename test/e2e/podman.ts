/** podman with its CNI backend (up to podman 4), its containers, storage and networks on a test node. */
import { execFileSync } from 'node:child_process'
import { installPlugins } from './conflist.ts'
import { IMAGE, writeImage } from './image.ts'
import { type Ran, TestNode } from './node.ts'

/** podman 5 dropped CNI; `scripts/e2e-deps.sh` says so. */
export const podmanHasCni = /version [0-4]\./.test(execFileSync('podman', ['--version'], { encoding: 'utf8' }))

const ENVIRONMENT = {
  CONTAINERS_CONF: '/etc/containers/e2e.conf',
  CONTAINERS_STORAGE_CONF: '/etc/containers/e2e-storage.conf',
}

export class Podman {
  readonly node: TestNode

  private constructor(node: TestNode) {
    this.node = node
  }

  static async start(): Promise<Podman> {
    const node = await TestNode.start(async (node) => {
      await installPlugins(node, '/usr/lib/cni')
      node.write(ENVIRONMENT.CONTAINERS_CONF, CONFIGURATION)
      node.write(ENVIRONMENT.CONTAINERS_STORAGE_CONF, STORAGE)
      node.write('/etc/containers/policy.json', '{ "default": [{ "type": "insecureAcceptAnything" }] }')
      await new Podman(node).run(['load', '-q', '-i', await writeImage(node)])
    })
    return new Podman(node)
  }

  configure(conflist: string): string {
    const { name } = JSON.parse(conflist) as { name: string }
    this.node.write(`/etc/cni/net.d/${name}.conflist`, conflist)
    return name
  }

  run(args: string[], options: { reject?: boolean } = {}): Promise<Ran> {
    return this.node.run(['podman', ...args], { env: ENVIRONMENT, ...options })
  }

  /** Starts a container that stays. Without a name for the interface podman picks one at random. */
  startContainer(name: string, network: string, options: { reject?: boolean } = {}): Promise<Ran> {
    const cgroup = ['--cgroup-parent', `/${this.node.cgroup}`]
    return this.run(
      ['run', '-d', '--name', name, ...cgroup, '--network', `${network}:interface_name=eth0`, IMAGE],
      options,
    )
  }

  /** @returns the value of CNI_NETNS of a container that runs */
  async netns(name: string): Promise<string> {
    return (await this.run(['inspect', '--format', '{{.NetworkSettings.SandboxKey}}', name])).stdout.trim()
  }
}

const STORAGE = `
[storage]
driver = "vfs"
graphroot = "/run/podman/storage"
runroot = "/run/podman/run"
`

// runc: crun refuses hybrid (v1 and v2) cgroups. No CAP_SYS_RESOURCE: podman's own limits may be above ours.
const CONFIGURATION = `
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
static_dir = "/run/podman/static"
volume_path = "/run/podman/volumes"
tmp_dir = "/run/podman/tmp"
[network]
network_backend = "cni"
cni_plugin_dirs = ["/opt/cni/bin"]
network_config_dir = "/etc/cni/net.d"
`
