/** kubelet and Debian's containerd on a test node, with files where a node of kubeadm has them. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { writeImage } from '../e2e/image.ts'
import type { TestNode } from '../e2e/node.ts'
import { until } from '../support/until.ts'
import { daemon, kubeconfigOf, logOf, succeeds } from './control-plane.ts'

const SOCKET = '/run/containerd/containerd.sock'
const PAUSE = 'docker.io/local/pause:1'
/** Debian's, by the name that the pods of kind/ call for. */
export const BUSYBOX = 'docker.io/library/busybox:1.37.0'
/** What the first process of a sandbox does: it waits for those whose parent is gone. */
const REAP = 'trap "exit 0" TERM INT; while :; do sleep 1000 & wait $!; done'

// restrict_oom_score_adj: without CAP_SYS_RESOURCE a score below our own is refused.
const CONTAINERD = `
version = 2
disabled_plugins = ["io.containerd.internal.v1.opt"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
`

// KubeletInUserNamespace: what only the machine's own root may do is tried, and not needed. Nothing is evicted: it is the
// machine's disk and memory that kubelet sees.
const kubelet = (cgroup: string) => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  featureGates: { KubeletInUserNamespace: true },
  authentication: { anonymous: { enabled: false }, x509: { clientCAFile: '/etc/kubernetes/pki/ca.crt' } },
  containerRuntimeEndpoint: `unix://${SOCKET}`,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: `/${cgroup}`,
  enforceNodeAllocatable: [],
  evictionHard: { 'memory.available': '1Mi', 'nodefs.available': '0%', 'imagefs.available': '0%' },
  failSwapOn: false,
  kubeAPIQPS: 200,
  kubeAPIBurst: 400,
  maxPods: 110,
  serializeImagePulls: false,
})

// Volumes of pods that are mounted later have to be seen in containers (HostToContainer), so the node's mounts are shared: among
// its own processes. kubelet sets these sysctls, which are the whole machine's, unless they are as it wants them: files say so. Layers of containers need a
// file system that is no overlay itself.
const PREPARE = `
mount --make-rshared /
mkdir -p /run/sysctl
while read -r name value; do
  file=/run/sysctl/\${name//\\//.}
  echo "$value" >"$file"
  mount --bind "$file" "/proc/sys/$name"
done <<<'vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000'
mkdir -p /var/lib/containerd /var/lib/kubelet /etc/containerd
mount -t tmpfs tmpfs /var/lib/containerd
mount -t tmpfs tmpfs /var/lib/kubelet
mount --make-rshared /
`

// Every hierarchy of cgroup v1, or the one of v2.
const MAKE_CGROUP = `
cd /sys/fs/cgroup
if [ -e cgroup.controllers ]; then
  for controller in $(cat cgroup.controllers); do echo "+$controller" >cgroup.subtree_control; done
  mkdir -p "$0"
  for controller in $(cat cgroup.controllers); do echo "+$controller" >"$0/cgroup.subtree_control"; done
else
  for hierarchy in */; do mkdir -p "$hierarchy$0" 2>/dev/null || true; done
  for file in cpuset.cpus cpuset.mems; do cat "cpuset/$file" >"cpuset/$0/$file"; done
  echo 1 >"cpuset/$0/cgroup.clone_children"
fi
`

/**
 * With cgroup v2 a cgroup that hands controllers on may have no processes of its own, unless it is the machine's root, which has no
 * type. In a container it is not.
 */
function emptyOwnCgroup(): void {
  const own = '/sys/fs/cgroup'
  if (!existsSync(`${own}/cgroup.type`)) return
  mkdirSync(`${own}/processes`, { recursive: true })
  for (const pid of readFileSync(`${own}/cgroup.procs`, 'utf8').split('\n').filter(Boolean)) {
    try {
      writeFileSync(`${own}/processes/cgroup.procs`, pid)
    } catch {
      // It has ended.
    }
  }
}

/** What is there before a node boots for the first time: the files of the runtime and of kubelet, and the image of every sandbox. */
export async function prepareNode(node: TestNode): Promise<void> {
  await node.bash(PREPARE)
  emptyOwnCgroup()
  await node.bash(MAKE_CGROUP, { args: [node.cgroup] })
  node.write('/etc/containerd/config.toml', CONTAINERD)
  node.write('/var/lib/kubelet/config.json', JSON.stringify(kubelet(node.cgroup)))
}

/** Starts what a node starts when it boots. Returns when it is ready; there must be a configuration in /etc/cni/net.d. */
export async function boot(node: TestNode): Promise<void> {
  node.daemon(['containerd'], '/run/containerd.log')
  await until(
    async () => (await node.run(['ctr', 'version'], { reject: false })).exitCode === 0,
    15_000,
    () => `containerd: ${logOf(node, 'containerd')}`,
  )
  await importImage(node, await writeImage(node, { names: [PAUSE], command: ['/bin/sh', '-c', REAP] }))
  await importImage(node, await writeImage(node, { names: [BUSYBOX] }))
  daemon(node, 'kubelet', [
    '--config=/var/lib/kubelet/config.json',
    `--kubeconfig=${kubeconfigOf('kubelet')}`,
    '--hostname-override=node',
    '--node-ip=10.50.0.10,fd00:10:50::10',
  ])
  const ready = ['wait', '--for=condition=Ready', 'node/node', '--timeout=5s']
  await until(
    () => succeeds(node, ready),
    60_000,
    () => `the node: ${logOf(node, 'kubelet')}`,
  )
}

/** Gives an image to the runtime. @param archive its path on the node */
export async function importImage(node: TestNode, archive: string): Promise<void> {
  await node.run(['ctr', '-n', 'k8s.io', 'images', 'import', archive])
}

// Processes of containers are those in the node's cgroups. What a machine forgets when it loses power: processes, their cgroups,
// mounts, what is in /run; and with the processes and mounts of pods their namespaces. What the tests have put there is kept.
const CRASH = `
pkill -9 -x kubelet || true
pkill -9 -x containerd || true
pkill -9 -x containerd-shim || true # as much of its name as the kernel keeps
for try in $(seq 100); do
  pids=$(find /sys/fs/cgroup -path "*/$0/*" -name cgroup.procs -exec cat {} + | sort -u)
  [ -n "$pids" ] || break
  kill -9 $pids 2>/dev/null || true
  sleep 0.1
done
cut -d" " -f2 /proc/self/mounts | grep -E "^/run/(containerd|netns/cni-)|^/var/lib/kubelet/pods/" | sort -r | xargs -r umount -l
rm -rf /run/containerd /run/netns/cni-* /run/x-calico-route
find /sys/fs/cgroup -depth -type d -path "*/$0/*" -exec rmdir {} ';'
`

/** Takes the power from the node. Its disk and the control plane, which is on other machines as it were, are kept. */
export async function crash(node: TestNode): Promise<void> {
  await node.bash(CRASH, { args: [node.cgroup] })
}
