/**
 * The stand-ins of this directory are what they stand for, as far as the cluster's tests lean on them: by cnitool, with an API
 * server that only knows the pod at hand.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { type CnitoolVerb, messageOf } from '../e2e/cnitool.ts'
import { conflist, type PluginConf, tuning, xCalicoRoute } from '../e2e/conflist.ts'
import { local, TestNode } from '../e2e/node.ts'
import { inventory } from '../e2e/pod.ts'
import { textOf } from '../support/manifests.ts'
import { PLUGIN } from '../support/runtime.ts'
import { shownIn } from './documents.ts'
import { giveAccess, installStandIns, standInsBuilt } from './stand-ins.ts'
import { BOTH } from './workloads.ts'

interface Manifest {
  kind: string
  metadata: { name: string; namespace: string; annotations?: Record<string, string>; uid?: string }
  spec?: object
}

const manifests = (...files: string[]): Manifest[] =>
  files.flatMap((file) => parseAllDocuments(textOf(file)).map((document) => document.toJS()))
const pathOf = ({ kind, metadata: { namespace, name } }: Manifest) =>
  kind === 'Pod'
    ? `/api/v1/namespaces/${namespace}/pods/${name}`
    : `/apis/k8s.cni.cncf.io/v1/namespaces/${namespace}/network-attachment-definitions/${name}`

const network = (namespace: string, ...plugins: PluginConf[]): Manifest => ({
  kind: 'NetworkAttachmentDefinition',
  metadata: { namespace, name: 'lab' },
  spec: { config: conflist('lab', '0.3.1', ...plugins) },
})
const podOf = (name: string, annotations: Record<string, string>): Manifest => ({
  kind: 'Pod',
  metadata: { name, namespace: 'tenant', annotations, uid: `uid-${name}` },
})

const EXAMPLES = manifests('conf-examples/calico-underlay.yaml', 'conf-examples/kube-ovn-vpc.yaml')
const LAB: PluginConf = { type: 'bridge', bridge: 'lab0', ipam: { type: 'host-local', subnet: '10.77.0.0/24' } }
const ACCESS = { server: 'https://127.0.0.1:6443', ca: '/run/api.pem', token: 'secret' } as const
const SUCCESS = { exitCode: 0, stdout: '', stderr: '' }

describe.skipIf(!standInsBuilt)('pods of the examples, by stand-ins for Multus, Calico and Kube-OVN', () => {
  let node: TestNode
  let before: object
  beforeAll(async () => {
    node = await TestNode.start(async (started) => {
      await installStandIns(started)
      const certificate = 'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=api'
      const files = `-addext subjectAltName=IP:127.0.0.1 -keyout ${ACCESS.ca} -out /run/cert.pem`
      await started.run([
        'sh',
        '-ec',
        `${certificate} ${files}; cat /run/cert.pem >>${ACCESS.ca}; ln -s ${PLUGIN} /opt/cni/bin`,
      ])
      const server = [local('../cluster/fake-api-server.ts'), '6443', ACCESS.ca, ACCESS.token, '/run/objects.json']
      started.daemon([process.execPath, ...server], '/run/api.log')
      await started.run(['timeout', '20', 'sh', '-c', 'until ss -ltn | grep -q 127.0.0.1:6443; do sleep 0.05; done'])
    })
  })
  afterAll(() => node?.close())
  beforeEach(async () => {
    giveAccess(node, ACCESS)
    before = await inventory(node)
  })
  const pods: string[] = []
  afterEach(async () => {
    for (const name of pods.splice(0)) await node.run(['ip', 'netns', 'del', name])
  })

  const exist = (...objects: Manifest[]) =>
    node.write('/run/objects.json', JSON.stringify(Object.fromEntries(objects.map((one) => [pathOf(one), one]))))
  const cni = (verb: CnitoolVerb, name: string) => {
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=tenant;K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=c-${name};K8S_POD_UID=uid-${name}`
    const env = { CNI_PATH: '/opt/cni/bin', CNI_IFNAME: 'eth0', CNI_ARGS: args }
    const command = [local('../../.cache/e2e/bin/cnitool'), verb, 'multus-cni-network', `/run/netns/${name}`]
    return node.run(command, { env, reject: false })
  }
  /** Makes the objects all there is, and the pod among them a pod of the node. */
  const create = async (...objects: Manifest[]) => {
    exist(...objects)
    const name = objects.find(({ kind }) => kind === 'Pod')?.metadata.name ?? ''
    await node.pod(name)
    pods.push(name)
    return {
      name,
      add: () => cni('add', name),
      del: () => cni('del', name),
      sees: async (...command: string[]) =>
        (await node.inPod(`/run/netns/${name}`, command)).stdout.replaceAll(/ *$/gm, '').trim(),
    }
  }
  const attached = async (...objects: Manifest[]) => {
    const pod = await create(...objects)
    expect(await pod.add()).toMatchObject({ exitCode: 0, stderr: '' })
    return pod
  }

  it("the README's first pod has the routes that the README shows, and is verified by its name", async () => {
    const pod = await attached(podOf('try', BOTH), ...EXAMPLES)
    const anyAddress = (line: string) => line.replace(/ src 10\.0\.1\.\d+$/, ' src 10.0.1.…')
    const routes = (await pod.sees('ip', 'route')).split('\n')
    expect(routes.map(anyAddress)).toEqual(shownIn('README.md', 'exec try -- ip route').map(anyAddress))
    expect(await pod.sees('ip', '-6', 'route', 'show', 'default')).toBe(
      'default via fd00:10:0:1::1 dev net1 metric 1024 pref medium',
    )

    const { stdout } = await node.run(['/opt/cni/bin/x-calico-route', 'verify'])
    const columns = (lines: string[]) => lines.map((line) => line.trim().split(/ +/).slice(1))
    expect(columns(stdout.trim().split('\n'))).toEqual(columns(shownIn('README.md', 'verify --root /host')))

    expect(await pod.del()).toEqual(SUCCESS)
    expect(await inventory(node)).toEqual(before)
    expect(node.list('/var/lib/cni/multus')).toEqual([])
    expect(await pod.del()).toEqual(SUCCESS)
  })

  it('a pod without annotations has the cluster network; Calico networks share their addresses', async () => {
    const plain = await attached(podOf('plain', {}))
    expect(await plain.sees('ip', 'route')).toBe('default via 169.254.1.1 dev eth0\n169.254.1.1 dev eth0 scope link')
    const [example = ''] = /(?<=default-network: ').*(?=')/.exec(textOf('conf-examples/calico-per-pod.yaml')) ?? []
    const own = await attached(
      podOf('own', { 'v1.multus-cni.io/default-network': example }),
      ...manifests('conf-examples/calico-per-pod.yaml'),
    )
    expect(await own.sees('ip', 'route')).toBe(
      '10.50.31.21 via 169.254.1.1 dev eth0 proto 142\n169.254.1.1 dev eth0 scope link',
    )
    const last = async (pod: typeof own) => Number(/inet 10\.199\.3\.(\d+)\/32/.exec(await pod.sees('ip', 'addr'))?.[1])
    expect(await last(own)).toBe((await last(plain)) + 1)
    // assign_ipv6 is the cluster network's alone
    expect(await own.sees('ip', '-6', 'addr', 'show', 'eth0', 'scope', 'global')).toBe('')
    for (const pod of [plain, own]) expect(await pod.del()).toEqual(SUCCESS)
    expect(await inventory(node)).toEqual(before)
  })

  it('names, MAC addresses and the comma form of an annotation are as written', async () => {
    const lab = network('tenant', LAB, { type: 'tuning', capabilities: { mac: true } })
    const json = await attached(
      podOf('json', {
        'k8s.v1.cni.cncf.io/networks':
          '[{"name":"vpc-net","interface":"vpc0"},{"name":"lab","mac":"02:00:00:00:00:07"}]',
      }),
      lab,
      ...EXAMPLES,
    )
    expect(await json.sees('ip', '-br', 'link', 'show', 'vpc0')).toMatch(/^vpc0@/)
    expect(await json.sees('ip', 'link', 'show', 'net2')).toContain('link/ether 02:00:00:00:00:07')
    const comma = await attached(podOf('comma', { 'k8s.v1.cni.cncf.io/networks': 'lab, tenant/lab@more' }), lab)
    expect(await comma.sees('ip', '-br', 'link')).toMatch(/^more@.*\bnet1@|^net1@.*\bmore@/ms)
    for (const pod of [json, comma]) expect(await pod.del()).toEqual(SUCCESS)
    expect(await inventory(node)).toEqual(before)
  })

  it('a network that fails takes the ones before it away, and says why as Multus does', async () => {
    const wrong = network('tenant', LAB, xCalicoRoute({ routes: [{ dst: '10.50.31.21/16' }] }), tuning)
    const annotations = { ...BOTH, 'k8s.v1.cni.cncf.io/networks': 'tenant/vpc-net,tenant/lab' }
    const pod = await create(podOf('wrong', annotations), wrong, ...EXAMPLES)
    expect(messageOf(await pod.add())).toBe(
      'plugin type="multus" failed (add): [tenant/wrong/uid-wrong:lab]: error adding container to ' +
        'network "lab": plugin type="x-calico-route" failed (add): ' +
        'routes[0].dst: "10.50.31.21/16" has host bits set; write 10.50.0.0/16',
    )
    expect(await inventory(node)).toEqual(before)
  })

  it.each([
    [
      'a network',
      podOf('lost', { 'k8s.v1.cni.cncf.io/networks': 'none' }),
      'cannot find a network-attachment-definition (none) in namespace (tenant)',
    ],
    ['the pod', podOf('lost', {}), '/api/v1/namespaces/tenant/pods/lost: 404'],
  ])('says that %s is not there', async (what, object, message) => {
    const pod = await create(object)
    if (what === 'the pod') exist()
    expect(messageOf(await pod.add())).toContain(message)
    expect(await inventory(node)).toEqual(before)
  })

  it('DEL needs no pod and no API server, and goes on after a network that fails, the last first', async () => {
    const pod = await attached(podOf('gone', BOTH), ...EXAMPLES)
    giveAccess(node, { ...ACCESS, server: 'https://127.0.0.1:1' })
    await node.run(['mv', '/opt/cni/bin/kube-ovn', '/opt/cni/bin/calico', '/run'])
    expect(messageOf(await pod.del())).toMatch(/errors: plugin type="kube-ovn".* \/ plugin type="calico"/)
    await node.run(['mv', '/run/calico', '/opt/cni/bin'])
    const missing = 'plugin type="kube-ovn" failed (delete): failed to find plugin "kube-ovn" in path [/opt/cni/bin]'
    expect(messageOf(await pod.del())).toBe(`plugin type="multus" failed (delete): errors: ${missing}`)
    expect(await pod.sees('ip', '-br', 'link')).not.toContain('eth0')
    await node.run(['mv', '/run/kube-ovn', '/opt/cni/bin'])
    expect(await pod.del()).toEqual(SUCCESS)
    expect(await inventory(node)).toEqual(before)
  })
})
