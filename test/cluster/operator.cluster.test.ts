/** What an operator does with the plugin in a cluster, from the first command to the last, typed as the documents have it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Cluster } from './cluster.ts'
import { scriptOf, shownIn, spanOf } from './documents.ts'
import { boot, crash } from './kubelet.ts'
import { buildUnanswering } from './unanswering.ts'
import { startUnderlay } from './underlay.ts'
import { BOTH, comingAndGoing, many, multusDaemonSet, type PodOptions, pod } from './workloads.ts'

const REGISTRY = 'registry.example/net'
const README = 'README.md'
const INSTALL = 'docs/install.md'
const ROLLOUT_STATUS = spanOf(INSTALL, 'rollout status')
const SETS = 'docs/route-sets.md'
const TAKE_SETS_NOW = scriptOf(SETS, '--overwrite route-sets')

/** Pods that come and go during an upgrade, and pods of a node that starts again. */
const PODS = process.env.FULL ? 50 : 20
const MANY = process.env.FULL ? 30 : 8

let cluster: Cluster
let before: object
beforeAll(async () => {
  cluster = await Cluster.start()
  await startUnderlay(cluster.node)
  before = await leftOvers()
})
afterAll(() => cluster?.close())

// Each step goes on where the one before it has ended.
let isBroken = false
beforeEach(({ skip }) => skip(isBroken, 'a step before it has failed'))
afterEach(({ task }) => {
  if (task.result?.state === 'fail') isBroken = true
})

const type = (script: string) => cluster.type(script)
const typed = async (script: string) => (await cluster.type(script)).stdout

/** Puts the tag of an image into the kustomization, as the documents say. */
const useImage = (tag: string) =>
  type(`sed -i 's|newName:.*|newName: ${REGISTRY}/x-calico-route|; s|newTag:.*|newTag: "${tag}"|' \
    conf-examples/daemonset/kustomization.yaml`)

async function apply(object: object): Promise<void> {
  await cluster.type('kubectl apply -f -', { input: JSON.stringify(object) })
}

async function startPod(name: string, options?: PodOptions): Promise<void> {
  await apply(pod(name, options))
  await type(`kubectl -n tenant wait --for=condition=Ready pod/${name} --timeout=90s`)
}

const inPod = (name: string, command: string) => typed(`kubectl -n tenant exec ${name} -- ${command}`)

/** Routes as lines, less what no document can know, the address that a pod was given, and what busybox' ip leaves out. */
const routesIn = (text: string) =>
  text
    .split('\n')
    .map((line) =>
      line
        .replace(/ src \S+/, ' src …')
        .replace(/ proto \w+/, '')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '')
    .sort()

/** The plugin on the node, by what it says of itself and by its files. */
const installed = () => typed('sha256sum /opt/cni/bin/*x-calico-route /opt/cni/bin/.x-calico-route-*')

/** What pods, plugins and calls leave on the node while they are there. */
async function leftOvers(): Promise<object> {
  const list = async (command: string) => (await typed(command)).split('\n').filter(Boolean)
  return {
    plugins: await list('ls -A /opt/cni/bin'),
    configurations: await list('ls -A /etc/cni/net.d'),
    results: await list('ls -A /var/lib/cni/results 2>/dev/null || true'),
    namespaces: await list('ls /run/netns'),
    links: (await list('ip -br link | cut -d" " -f1')).sort(),
    processes: await list('ps -eo args | grep -c "[x]-calico-route" || true'),
  }
}

/** What kubelet could not start, by the beginning of the names of pods. */
async function failures(pods: string): Promise<string[]> {
  const events = JSON.parse(
    await typed('kubectl -n tenant get events --field-selector reason=FailedCreatePodSandBox -o json'),
  )
  return (events.items as { involvedObject: { name: string }; message: string }[])
    .filter(({ involvedObject }) => involvedObject.name.startsWith(pods))
    .map(({ message }) => message)
}

describe('install', () => {
  test('the limits of Multus are raised, and nothing else in its DaemonSet changes', async () => {
    await apply(multusDaemonSet)
    const read = async () => JSON.parse(await typed('kubectl -n kube-system get daemonset kube-multus-ds -o json')).spec
    const { template, ...spec } = await read()
    await type(scriptOf(README, 'kube-multus-ds'))
    template.spec.containers[0].resources.limits = { cpu: '500m', memory: '512Mi' }
    expect(await read()).toEqual({ ...spec, template })
  })

  test('the plugin is on the node when the rollout is done', async () => {
    await useImage('1')
    const said = await typed(scriptOf(README, 'docker build', { REGISTRY, VERSION: '1' }))
    expect(said).toContain('daemon set "x-calico-route" successfully rolled out')
    expect(await typed('/opt/cni/bin/x-calico-route --version')).toBe(await typed('dist/x-calico-route --version'))
  })

  test('the networks are checked, and added', async () => {
    await type('kubectl create namespace tenant')
    const files = 'conf-examples/calico-underlay.yaml conf-examples/kube-ovn-vpc.yaml'
    await type(`dist/x-calico-route validate ${files}`)
    await type(`for file in ${files}; do kubectl apply -f $file; done`)
  })
})

describe('what kind/ makes', () => {
  test('does here what it does there, as far as no policy and no VM is needed', async () => {
    await type('kubectl apply -f kind/networks.yaml; kubectl apply -f kind/pods.yaml')
    await type('kubectl -n tenant wait --for=condition=Ready pod/limited pod/unlimited --timeout=120s')
    const said = (await typed('kind/check.sh examples pods')).trim().split('\n')
    expect(said.filter((line) => !/^(ok |==)/.test(line))).toEqual([])
    expect(said.filter((line) => line.startsWith('ok ')).length).toBeGreaterThan(30)
    await type('kubectl delete -f kind/pods.yaml; kubectl apply -f conf-examples/calico-underlay.yaml')
    // A pod is gone for kubectl before its last NIC is.
    await type(
      "timeout 60 sh -c 'while grep -rqs limited /var/lib/cni/results /var/lib/cni/multus/results; do sleep 0.2; done'",
    )
  })
})

describe('the first pod', () => {
  test('has the routes that README shows', async () => {
    await startPod('try')
    const shown = shownIn(README, 'exec try -- ip route').join('\n')
    expect(routesIn(await typed(scriptOf(README, 'exec try -- ip route')))).toEqual(routesIn(shown))
  })

  test('reaches the underlay through Calico, and the gateway of the VPC and the internet through Kube-OVN', async () => {
    for (const address of ['10.50.31.21', 'fd00:10:50::21', '10.0.1.1', '203.0.113.10'])
      expect(await inPod('try', `ping -c 1 -W 5 ${address}`)).toContain(' 0% packet loss')
  })

  test('is in what verify says, as README shows it', async () => {
    const columns = (lines: string[]) => lines.map((line) => line.trim().split(/\s+/).slice(1))
    const said = await typed(scriptOf(README, 'verify --root /host'))
    expect(columns(said.split('\n').filter(Boolean))).toEqual(columns(shownIn(README, 'verify --root /host')))
  })
})

describe('a wrong configuration', () => {
  const WRONG = JSON.stringify({
    cniVersion: '0.3.1',
    name: 'k8s-pod-network',
    plugins: [
      { type: 'calico', ipam: { type: 'calico-ipam' }, datastore_type: 'kubernetes' },
      { type: 'x-calico-route', routes: [{ dst: '10.50.0.1/16' }] },
    ],
  })
  const network = {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: { name: 'wrong', namespace: 'tenant' },
    spec: { config: WRONG },
  }

  test('stands in the events of the pod, with what to write', async () => {
    await apply(network)
    await apply(pod('wrong', { annotations: { 'v1.multus-cni.io/default-network': 'tenant/wrong' } }))
    await expect
      .poll(() => typed('kubectl -n tenant describe pod wrong'), { timeout: 60_000, interval: 500 })
      .toMatch(
        /FailedCreatePodSandBox .*: routes\[0\]\.dst: "10\.50\.0\.1\/16" has host bits set; write 10\.50\.0\.0\/16/,
      )
  })

  test('is found beforehand by validate, in the same words', async () => {
    const { stdout, exitCode } = await cluster.type('dist/x-calico-route validate -', {
      input: JSON.stringify(network),
      reject: false,
    })
    expect(exitCode).toBe(1)
    expect(stdout).toContain('routes[0].dst: "10.50.0.1/16" has host bits set; write 10.50.0.0/16')
  })

  test('is mended: the pod starts by itself', async () => {
    await apply({ ...network, spec: { config: WRONG.replace('10.50.0.1/16', '10.50.0.0/16') } })
    await type('kubectl -n tenant wait --for=condition=Ready pod/wrong --timeout=120s')
    await type('kubectl -n tenant delete pod wrong')
  })
})

describe('route sets', () => {
  const LIVING = { ...BOTH, 'v1.multus-cni.io/default-network': 'kube-system/calico-set' }

  test('a pod starts with the prefixes of the ConfigMap', async () => {
    await type('dist/x-calico-route validate conf-examples/route-sets.yaml conf-examples/calico-set.yaml')
    await type('kubectl apply -f conf-examples/route-sets.yaml; kubectl apply -f conf-examples/calico-set.yaml')
    await type(TAKE_SETS_NOW)
    await startPod('living', { annotations: LIVING })
    expect(routesIn(await inPod('living', 'ip route'))).toContain('10.50.0.0/16 via 169.254.1.1 dev eth0')
  })

  test('a prefix that is added reaches it while it runs', async () => {
    await type(scriptOf(SETS, '10.70.0.0/16'))
    await type(TAKE_SETS_NOW)
    await expect
      .poll(() => inPod('living', 'ip route'), { timeout: 60_000, interval: 500 })
      .toContain('10.70.0.0/16 via 169.254.1.1 dev eth0')
    const { restartCount } = JSON.parse(await typed('kubectl -n tenant get pod living -o json')).status
      .containerStatuses[0]
    expect(restartCount).toBe(0)
    expect(await typed(scriptOf(SETS, "'set copied|repaired'"))).toMatch(/set copied[\s\S]*repaired/)
  })
})

describe('an upgrade', () => {
  test('to an image that does not answer on the node stops, and changes nothing', async () => {
    const plugin = await installed()
    await buildUnanswering(cluster.node, `${REGISTRY}/x-calico-route:1`, `${REGISTRY}/x-calico-route:silent`)
    await useImage('silent')
    const [, ...rollout] = scriptOf(README, 'docker build')
      .split('\n')
      .filter((line) => !line.startsWith('#'))
    const { stdout, exitCode } = await cluster.type(`timeout 15 bash -ec '${rollout.join('\n')}'`, { reject: false })
    expect(stdout).toContain('Waiting for daemon set "x-calico-route" rollout to finish')
    expect(exitCode).toBe(124)
    const POD = await typed('kubectl -n x-calico-route get pods -o name')
    const why = () => typed(spanOf(INSTALL, '-c install').replace('POD', POD.trim()))
    await expect
      .poll(why, { timeout: 60_000 })
      .toMatch(/x-calico-route does not answer on this node: .*: not found; it needs glibc .*; nothing was changed/)
    expect(await installed()).toBe(plugin)
    await startPod('meanwhile')
    expect(await inPod('meanwhile', 'ip route')).toContain('10.50.0.0/16')
  })

  test('is undone by the command of the documents', async () => {
    await type(spanOf(INSTALL, 'rollout undo'))
    await type(ROLLOUT_STATUS)
  })

  test(`under load: of ${PODS} pods and more that come and go meanwhile, none fails, and each has its routes`, async () => {
    await type('echo >>dist/x-calico-route') // another build of the same version
    const [build = '', ...rollout] = scriptOf(README, 'docker build', { REGISTRY, VERSION: '2' }).split('\n')
    await type(build)
    await useImage('2')
    await apply(comingAndGoing)
    const status = async () => JSON.parse(await typed('kubectl -n tenant get job load -o json')).status
    const succeeded = async (): Promise<number> => (await status()).succeeded ?? 0
    const waiting = { timeout: 200_000, interval: 500 }
    await expect.poll(succeeded, waiting).toBeGreaterThan(0)
    await type(rollout.join('\n'))
    const soFar = await succeeded()
    await expect.poll(succeeded, waiting).toBeGreaterThan(Math.max(PODS, soFar + 5))
    expect((await status()).failed ?? 0).toBe(0)
    expect(await failures('load-')).toEqual([])
    await type('kubectl -n tenant delete job load')
    expect(await typed('dist/x-calico-route --version')).toBe(await typed('/opt/cni/bin/x-calico-route --version'))
  })
})

describe('a node that starts again', () => {
  test('has all of its pods back, with their routes', async () => {
    await apply(many(MANY))
    await type('kubectl -n tenant rollout status deployment/many --timeout=120s')
    await crash(cluster.node)
    await boot(cluster.node)
    // Until kubelet looks, the API server has what was so before.
    const restarted = async () =>
      JSON.parse(await typed('kubectl -n tenant get pods -l app=many -o json')).items.filter(
        ({ status }: { status: { containerStatuses: { ready: boolean; restartCount: number }[] } }) =>
          status.containerStatuses.every(({ ready, restartCount }) => ready && restartCount > 0),
      ).length
    await expect.poll(restarted, { timeout: 180_000, interval: 500 }).toBe(MANY)
    await type(ROLLOUT_STATUS)
    const said = await typed(scriptOf(README, 'verify --root /host'))
    expect(said.match(/^\w+ +tenant\/many-\S+ +\S+ +\S+ +ok *$/gm)).toHaveLength(2 * MANY)
    expect(said).not.toMatch(/differs/)
    expect((await failures('many-')).filter((message) => message.includes('x-calico-route'))).toEqual([])
  })
})

describe('removal', () => {
  test('the networks that use the plugin are found, and taken away', async () => {
    const names = (await typed(scriptOf(INSTALL, 'get network-attachment-definitions'))).trim().split('\n')
    expect(names.sort()).toEqual([
      'kube-system/calico-set',
      'kube-system/calico-underlay',
      'kube-system/calico-vm', // of kind/
      'tenant/vpc-net',
      'tenant/wrong',
    ])
    expect(await cluster.type('grep -r x-calico-route /etc/cni/net.d', { reject: false })).toMatchObject({
      exitCode: 1,
    })
  })

  test('the uninstaller waits for pods that have it, and says which', async () => {
    await type(spanOf(INSTALL, 'apply -k conf-examples/uninstall'))
    const log = () => typed('kubectl -n x-calico-route logs -l app.kubernetes.io/name=x-calico-route --tail=100')
    await expect
      .poll(log, { timeout: 60_000, interval: 500 })
      .toMatch(/still in use: .* of tenant\/.* use it; first remove it from the configurations/)
    expect(await installed()).not.toBe('')
  })

  test('the plugin is gone when the last of them is, and the rollout done', async () => {
    for (const name of (await typed(scriptOf(INSTALL, 'get network-attachment-definitions'))).trim().split('\n')) {
      const [namespace, network] = name.split('/')
      await type(`kubectl -n ${namespace} delete network-attachment-definitions ${network}`)
    }
    await type('kubectl -n tenant delete deployment,job,pod --all --wait')
    await type(ROLLOUT_STATUS)
    expect((await typed('ls -A /opt/cni/bin')).match(/x-calico-route/)).toBeNull()
  })

  test('nothing of it is left in the cluster, and the node is as it was', async () => {
    await type(spanOf(INSTALL, 'delete -k conf-examples/uninstall'))
    expect((await cluster.type('kubectl get namespace x-calico-route', { reject: false })).stderr).toContain('NotFound')
    await expect.poll(leftOvers, { timeout: 30_000 }).toEqual(before)
  })
})
