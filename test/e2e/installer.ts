/**
 * The image that the Dockerfile makes, and the containers of the DaemonSets in it, without Kubernetes: what kubelet would
 * ask of the runtime is read from their manifests and handed to `ctr`.
 */
import { dirname } from 'node:path'
import { containerOf, hostPathOf, pod } from '../support/daemonset.ts'
import { PLUGIN } from '../support/runtime.ts'
import type { Containerd } from './containerd.ts'
import { local, type Ran, type TestNode } from './node.ts'

const IMAGE = 'localhost/x-calico-route:e2e'
const ARCHIVE = '/run/installer.tar'

/** podman's, on a test node. */
export const STORAGE = '--root /run/podman/storage --runroot /run/podman/run --storage-driver vfs'

/**
 * Makes localhost/base, a Debian to build on, of this machine's own files: what the Dockerfile calls, the libraries that Debian's
 * own image has, and what that says of its packages. Wants PLUGIN, the executable that will be in the image.
 */
export const MAKE_BASE = `
cd /run
mkdir -p /etc/containers
echo '{ "default": [{ "type": "insecureAcceptAnything" }] }' >/etc/containers/policy.json
tools=$(command -v sh bash cp dpkg-query grep ip ln mkdir nsenter prlimit readlink sort)
libraries=$(ldd "$PLUGIN" $tools | grep -o '/lib[^ ]*' | sort -u | sed 's#^#/usr#')
tar -cf base.tar -C / bin lib lib64 sbin
tar -rhf base.tar -C / --hard-dereference $(printf '.%s ' $tools $libraries $(command -v ldd) /usr/share/doc/*/copyright)
tar -rf base.tar -C / usr/share/common-licenses var/lib/dpkg/status var/lib/dpkg/info
podman ${STORAGE} import -q base.tar localhost/base
rm base.tar
`

// The context holds the plugin that is under test, and what else the Dockerfile may copy must be left out of it.
const BUILD = `
mkdir -p /run/context/dist
cp "$PROJECT/Dockerfile" "$PROJECT/.dockerignore" /run/context
cp "$PLUGIN" "$BUILT/LICENSES.txt" /run/context/dist
podman ${STORAGE} build -q --isolation=chroot --build-arg BASE=localhost/base --build-arg PLUGIN=dist \
  -t ${IMAGE} /run/context
podman ${STORAGE} save -q --format docker-archive -o ${ARCHIVE} ${IMAGE}
rm -r /run/context /run/podman
`

/** Builds the image and gives it to containerd. */
export async function buildInstaller(containerd: Containerd): Promise<void> {
  const { node } = containerd
  const env = {
    PATH: '/usr/sbin:/usr/bin',
    PLUGIN,
    BUILT: dirname(PLUGIN),
    PROJECT: local('../..'),
  }
  await node.bash(MAKE_BASE + BUILD, { env })
  await containerd.ctr(['images', 'import', '--snapshotter', 'native', ARCHIVE])
}

/** The files of the image, of all its layers. */
export async function filesOf(node: TestNode): Promise<string[]> {
  const [manifest] = JSON.parse(await unpacked(node, 'manifest.json')) as [{ Layers: string[] }]
  const list = `for layer; do tar -xOf ${ARCHIVE} "$layer" | tar -t; done`
  const { stdout } = await node.run(['sh', '-ec', list, 'sh', ...manifest.Layers])
  return stdout.split('\n').filter((file) => file !== '' && !file.endsWith('/'))
}

/** Puts the image's /usr/share on the node. @returns its path there */
export async function shareOf(node: TestNode): Promise<string> {
  const [manifest] = JSON.parse(await unpacked(node, 'manifest.json')) as [{ Layers: string[] }]
  const unpack = `mkdir -p /run/image; for layer; do tar -xOf ${ARCHIVE} "$layer" | tar -x -C /run/image usr/share; done`
  await node.run(['sh', '-ec', unpack, 'sh', ...manifest.Layers])
  return '/run/image/usr/share'
}

/** `args` of a pod follow it. ctr, unlike kubelet, leaves it out where a command is given. */
async function entrypointOf(node: TestNode): Promise<string[]> {
  const [manifest] = JSON.parse(await unpacked(node, 'manifest.json')) as [{ Config: string }]
  const { config } = JSON.parse(await unpacked(node, manifest.Config)) as { config: { Entrypoint: string[] } }
  return config.Entrypoint
}

async function unpacked(node: TestNode, file: string): Promise<string> {
  return (await node.run(['tar', '-xOf', ARCHIVE, file])).stdout
}

// What ctr gives a container unasked; `drop: [ALL]` takes it away. The order of ctr is: add, then drop.
const OF_CTR = (
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL ' +
  'AUDIT_WRITE'
).split(' ')

/** Runs a container of a DaemonSet as kubelet has it run. With --detach in `flags`: returns when it is started. */
export async function runContainer(containerd: Containerd, name: string, ...flags: string[]): Promise<Ran> {
  const { node } = containerd
  const { args, resources, securityContext, volumeMounts } = containerOf(name)
  const { add, drop } = securityContext.capabilities
  const dropped = drop.includes('ALL') ? OF_CTR.filter((capability) => !add.includes(capability)) : drop
  const mounts = volumeMounts.map(({ name, mountPath, readOnly = false, mountPropagation = 'None' }) => {
    const options = ['rbind', readOnly ? 'ro' : 'rw', { None: 'rprivate', HostToContainer: 'rslave' }[mountPropagation]]
    return `type=bind,src=${sourceOf(name)},dst=${mountPath},options=${options.join(':')}`
  })
  // as DirectoryOrCreate, and as kubelet makes the directory of a ConfigMap
  await node.run(['mkdir', '-p', ...volumeMounts.map(({ name }) => sourceOf(name))])
  const options = [
    ...['--snapshotter', 'native', '--cgroup', `/${node.cgroup}/${name}`],
    ...['--memory-limit', `${Number.parseInt(resources.limits.memory ?? '', 10) * 1024 * 1024}`],
    ...add.flatMap((capability) => ['--cap-add', `CAP_${capability}`]),
    ...dropped.flatMap((capability) => ['--cap-drop', `CAP_${capability}`]),
    ...mounts.flatMap((mount) => ['--mount', mount]),
    ...(securityContext.readOnlyRootFilesystem ? ['--read-only'] : []),
    ...(securityContext.allowPrivilegeEscalation ? ['--allow-new-privs'] : []),
    ...(pod.hostNetwork ? ['--net-host'] : []),
    ...(pod.securityContext.seccompProfile.type === 'RuntimeDefault' ? ['--seccomp'] : []),
  ]
  const command = [...(await entrypointOf(node)), ...args]
  return containerd.ctr(['run', ...flags, ...options, IMAGE, name, ...command], { reject: false })
}

/** Where the ConfigMap of the sets is on the node, as kubelet would keep it. */
export const CONFIG_MAP = '/run/config-map'

const sourceOf = (volume: string) => (volume === 'sets' ? CONFIG_MAP : hostPathOf(volume))

/** Runs the readiness probe of a container that runs. */
export function probe(containerd: Containerd, name: string): Promise<Ran> {
  const command = containerOf(name).readinessProbe?.exec?.command ?? []
  return containerd.ctr(['tasks', 'exec', '--exec-id', `probe-${Date.now()}`, name, ...command], { reject: false })
}

/** Asks for a page of a container with the node's network, as kubelet does. @returns status line, headers and body */
export async function get(node: TestNode, path: string): Promise<string> {
  const { host, port } = containerOf('agent').readinessProbe?.httpGet ?? {}
  const script = `exec 3<>/dev/tcp/${host}/${port}; printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`
  return (await node.bash(script, { reject: false })).stdout
}
