/**
 * The image that the Dockerfile makes, and the containers of the DaemonSets in it, without Kubernetes: what kubelet would
 * ask of the runtime is read from their manifests and handed to `ctr`.
 */
import { readFileSync } from 'node:fs'
import { containerOf, hostPathOf, pod } from '../support/daemonset.ts'
import { bringContext, forgetPodman, makeBase, NATIVE, PODMAN } from './archive.ts'
import type { Containerd } from './containerd.ts'
import { local, type Ran, type TestNode } from './node.ts'

const IMAGE = 'localhost/x-calico-route:e2e'
const CONTEXT = '/run/context'
const ARCHIVE = `${CONTEXT}/dist/image.tar`

/** Builds the image and gives it to containerd. */
export async function buildInstaller(containerd: Containerd): Promise<void> {
  const { node } = containerd
  await makeBase(node)
  await bringContext(node, CONTEXT)
  await node.run([`${CONTEXT}/scripts/image/archive.sh`], { env: { ...PODMAN, ARCHS: NATIVE, BASE: 'localhost/base' } })
  await containerd.ctr(['images', 'import', '--snapshotter', 'native', '--index-name', IMAGE, ARCHIVE])
  await node.run(['rm', '-r', CONTEXT])
  await forgetPodman(node)
}

// `args` of a pod follow it. ctr, unlike kubelet, leaves it out where a command is given.
const ENTRYPOINT = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(readFileSync(local('../../Dockerfile'), 'utf8'))?.[1] ?? '')

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
  const command = [...ENTRYPOINT, ...args]
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
