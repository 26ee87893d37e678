import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { isWithin } from '../../src/net/address.ts'
import {
  APPLIED,
  annotations,
  calicoAddress,
  check,
  cluster,
  definitions,
  disks,
  every,
  gateways,
  guest,
  interfaces,
  ipPools,
  type Metadata,
  podCidrs,
  pods,
  policy,
  secret,
  serviceCidrs,
  subnet,
  template,
  underlay,
  up,
  type VirtualMachine,
  values,
  vm,
  vpc,
  vpcAddress,
  vpcCidrs,
  written,
} from '../support/kind.ts'
import { MANIFESTS, textOf, VERSIONS } from '../support/manifests.ts'

// A dozen files know each other's addresses and names. None of these is written down here once more.
const inAny = (address: string, prefixes: readonly string[]) => prefixes.some((prefix) => isWithin(address, prefix))

const dstsOf = (name: string): string[] =>
  definitions
    .filter((definition) => definition.name === name)
    .flatMap(({ plugins }) => plugins.flatMap(({ routes = [] }) => (routes as { dst: string }[]).map(({ dst }) => dst)))

describe('addresses of kind/', () => {
  const [[allowed4 = '', other4 = ''], [allowed6 = '', other6 = '']] = [
    written(check, /^allowed4=(\S+) other4=(\S+)$/m),
    written(check, /^allowed6='\[(\S+)\]' other6='\[(\S+)\]'$/m),
  ]

  it.each<[what: string, value: unknown, expected: unknown]>([
    ["Calico's pools are the pod networks of the cluster", ipPools.map(({ cidr }) => cidr), podCidrs],
    [
      'Kube-OVN knows the Service networks of the cluster',
      Object.values(values.networking.services.cidr),
      serviceCidrs,
    ],
    ['Kube-OVN and the cluster are dual', [values.networking.stack, cluster.networking.ipFamily], ['Dual', 'dual']],
    [
      "behind Calico's NIC are pods and the underlay, in both families",
      dstsOf('calico-underlay').sort(),
      [...podCidrs, ...underlay].sort(),
    ],
    ["behind the VM's NIC is the IPv4 underlay", dstsOf('calico-vm'), [underlay[0]]],
    ["the guest's way to pods", guest.underlay.routes.map(({ to }) => to), [podCidrs[0]]],
    ["the guest's gateway to pods, Calico's own", guest.underlay.routes.map(({ via }) => via), ['169.254.1.1']],
    ["the guest's default route", guest.vpc.routes, [{ to: '0.0.0.0/0', via: gateways[0] }]],
    ["the guest's address in the VPC", guest.vpc.addresses, [`${vpcAddress}/${vpcCidrs[0]?.split('/')[1]}`]],
    [
      'MACs, in the guest',
      [guest.underlay, guest.vpc].map(({ match }) => match.macaddress),
      interfaces.map((nic) => nic.macAddress),
    ],
    ["the VPC's MAC", annotations['vpc-net.tenant.ovn.kubernetes.io/mac_address'], interfaces[1]?.macAddress],
    [
      'the policy allows what is checked',
      policy.spec.egress.flatMap(({ destination }) => destination.nets),
      [`${allowed4}/32`, `${allowed6}/128`],
    ],
    [
      'check.sh knows the gateways',
      [...check.matchAll(/only_default "\$pod" [46] (\S+)/g)].map(([, gateway]) => gateway),
      gateways,
    ],
    ['check.sh calls the gateway', written(check, / in_pod "\$pod" ping .* (\S+)$/m), gateways.slice(0, 1)],
    [
      'check.sh looks for routes to the underlay',
      [...check.matchAll(/has_route "\$pod" [46] (\S+)/g)].map(([, dst]) => dst),
      underlay,
    ],
  ])('%s', (_, value, expected) => {
    expect(value).toEqual(expected)
  })

  it.each<[what: string, addresses: (string | undefined)[], prefixes: readonly string[]]>([
    ['hosts of the underlay, in check.sh', [allowed4, other4, allowed6, other6], underlay],
    ['the gateways of the VPC', gateways, vpcCidrs],
    ["the VM's address on Calico's NIC", [calicoAddress], podCidrs],
    ["the VM's address in the VPC", [vpcAddress], vpcCidrs],
  ])('%s are where they belong', (_, addresses, prefixes) => {
    expect(addresses.filter((address = '') => !inAny(address, prefixes))).toEqual([])
  })

  it('the hosts of the underlay have the addresses that are checked', () => {
    const [ip4 = '', ip6 = ''] = written(up, /--ip "(\S+)\$last" --ip6 "(\S+)\$last"/)
    const last = written(textOf('kind/lib.sh'), /^UNDERLAY_HOSTS=\(\S+-(\d+) \S+-(\d+)\)$/m)
    expect(last.map((each) => ip4 + each)).toEqual([allowed4, other4])
    expect(last.map((each) => ip6 + each)).toEqual([allowed6, other6])
  })

  it('the guest reports what is checked, under the name it is checked by', () => {
    const calls = [`${allowed4} 80`, `${allowed4} 8080`, `${other4} 80`].map((to) => [to, `call ${to}`] as const)
    const reports = [['default', 'ip -4 route show default'], [gateways[0], `ping -c 1 -W 3 ${gateways[0]}`], ...calls]
    const checked = [...check.replaceAll('\\', '').matchAll(/vm_says '(default|[\d.]+(?: \d+)?): /g)].map(
      ([, name]) => name,
    )
    expect(new Set(checked)).toEqual(new Set(reports.map(([name]) => name)))
    for (const [name, call] of reports) expect(secret.stringData.userdata).toContain(`echo "testvm: ${name}: $(${call}`)
  })

  it('the address of the VM in the VPC is nobody else’s', () => {
    expect([...subnet.spec.excludeIps, ...gateways]).not.toContain(vpcAddress)
    for (const gateway of gateways) expect(subnet.spec.excludeIps).toContain(gateway)
  })

  it('no network overlaps another', () => {
    const all = [...podCidrs, ...serviceCidrs, ...underlay, ...vpcCidrs]
    expect(all).toHaveLength(8)
    for (const one of all)
      for (const other of all.filter((each) => each !== one)) expect([one, isWithin(one, other)]).toEqual([one, false])
  })
})

describe('names of kind/', () => {
  const networks = definitions.map(({ namespace, name }) => `${namespace}/${name}`)
  const provider = 'vpc-net.tenant.ovn'
  const takers = [...pods.map(({ metadata }) => metadata), template.metadata]

  it.each(pods.map(({ metadata }) => [metadata.name, metadata.annotations ?? {}] as const))(
    '%s asks for networks that there are',
    (_, annotations) => {
      const named = [annotations['v1.multus-cni.io/default-network'], annotations['k8s.v1.cni.cncf.io/networks']]
      expect(named.filter((each = '') => !networks.includes(each))).toEqual([])
    },
  )

  it('the VM asks for networks that there are, and has a NIC and a disk for each', () => {
    expect(template.spec.networks.filter(({ multus }) => !networks.includes(multus.networkName))).toEqual([])
    const names = (list: { name: string }[]) => list.map(({ name }) => name)
    expect(names(interfaces)).toEqual(names(template.spec.networks))
    expect(names(disks)).toEqual(names(template.spec.volumes))
  })

  it('who has a NIC in the VPC asks for the Subnet that there is, and for its default route', () => {
    const [definition] = definitions.filter(({ plugins }) => plugins[0]?.type === 'kube-ovn')
    expect(`${definition?.name}.${definition?.namespace}.ovn`).toBe(provider)
    expect([definition?.plugins[0]?.provider, subnet.spec.provider]).toEqual([provider, provider])
    expect([subnet.spec.vpc, vpc.spec.namespaces]).toEqual([vpc.metadata.name, [vm.metadata.namespace]])
    for (const { annotations = {} } of takers) {
      expect(annotations).toMatchObject({
        [`${provider}.kubernetes.io/logical_switch`]: subnet.metadata.name,
        [`${provider}.kubernetes.io/default_route`]: 'true',
      })
      const foreign = Object.keys(annotations).filter(
        (key) => key.includes('.ovn.') && !key.startsWith(`${provider}.kubernetes.io/`),
      )
      expect(foreign).toEqual([])
    }
  })

  it('the policy is for one of the two pods, and for the VM', () => {
    const [key = '', value] = written(policy.spec.selector, /^(\w+) == '(\w+)'$/)
    expect(policy.metadata.namespace).toBe(vm.metadata.namespace)
    expect(takers.map(({ labels }) => labels?.[key] === value)).toEqual([true, false, true])
    expect(pods.map(({ metadata }) => [metadata.name, metadata.labels])).toEqual(
      pods.map(({ metadata }) => [metadata.name, { [key]: metadata.name }]),
    )
  })

  it('the VM brings the Secret it is set up with', () => {
    expect(secret.metadata.namespace).toBe(vm.metadata.namespace)
    const named = template.spec.volumes.flatMap(({ cloudInitNoCloud: source }) =>
      source ? [source.secretRef?.name, source.networkDataSecretRef.name] : [],
    )
    expect(named).toEqual([secret.metadata.name, secret.metadata.name])
    // what KubeVirt looks for in it
    expect(Object.keys(secret.stringData)).toEqual(['networkdata', 'userdata'])
  })

  it('every namespace is made by a manifest, by Kubernetes, or by what is installed', () => {
    const made = every<{ metadata: Metadata }>('v1 Namespace').map(({ metadata }) => metadata.name)
    const there = [...made, 'kube-system', 'calico-system', 'tigera-operator', 'kubevirt']
    const used = APPLIED.flatMap(({ body }) => (body.metadata as Metadata | undefined)?.namespace ?? [])
    const called = [...(up + check).matchAll(/(?:--namespace|diagnose|wait_for \d+ (?:'[^']+'|"[^"]+")) ([a-z-]+)/g)]
    const names = [...used, ...called.map(([, namespace = '']) => namespace)]
    expect(names.filter((namespace) => !there.includes(namespace))).toEqual([])
  })

  it('check.sh and up.sh ask for pods and a VM that there are', () => {
    const named = [...up.matchAll(/ (pod|virtualmachine|subnets\.kubeovn\.io)\/([\w-]+)/g)].map(([, , name]) => name)
    expect(named).toEqual([subnet.metadata.name, ...pods.map(({ metadata }) => metadata.name), vm.metadata.name])
    expect(written(check, /^ *for pod in (.*); do$/m)).toEqual([pods.map(({ metadata }) => metadata.name).join(' ')])
    expect(template.metadata.labels).toMatchObject({
      'vm.kubevirt.io/name': written(check, /--selector vm\.kubevirt\.io\/name=(\w+) /)[0],
    })
  })

  it("Kube-OVN's configuration sorts behind Calico's, for Multus to take that one", () => {
    expect(`${values.cni.configPriority}-kube-ovn.conflist` > '10-calico.conflist').toBe(true)
  })

  it('one node is for the databases of Kube-OVN', () => {
    const labels = cluster.nodes.map((node) => node.labels)
    expect(cluster.nodes.map(({ role }) => role)).toEqual(['control-plane', 'worker'])
    expect(labels).toEqual([{ 'kube-ovn/role': 'master' }, undefined])
  })
})

describe('images and files of kind/', () => {
  it('pods are of the image in versions.env', () => {
    expect(new Set(pods.flatMap(({ spec }) => spec.containers.map(({ image }) => image)))).toEqual(
      new Set([VERSIONS.get('BUSYBOX_IMAGE')]),
    )
  })

  it('the VM has the disk of the examples', () => {
    const images = MANIFESTS.filter(({ kind }) => kind.endsWith(' VirtualMachine')).map(
      ({ body }) => (body as unknown as VirtualMachine).spec.template.spec.volumes[0]?.containerDisk?.image,
    )
    expect(images).toEqual([images[0], images[0], images[0]])
  })

  it('the DaemonSet has the image that up.sh builds and loads', () => {
    const { name, newTag } = parse(textOf('kind/daemonset/kustomization.yaml')).images[0]
    const image = `${name}:${newTag}`
    expect(written(up, /docker build --quiet --tag (\S+) /)).toEqual([image])
    expect(written(up, /kind load docker-image (\S+) /)).toEqual([image])
  })

  it.each(['CALICO', 'MULTUS', 'KUBEVIRT'])('%s is fetched in its version', (project) => {
    const version = VERSIONS.get(`${project}_VERSION`) ?? ''
    const places = [...VERSIONS].filter(([key]) => key.startsWith(project) && !key.endsWith('_VERSION'))
    expect(places).not.toEqual([])
    expect(places.filter(([, place]) => !new RegExp(`[/:]${version}(/|-|$)`).test(place))).toEqual([])
  })

  it('comments and scripts name files that there are', () => {
    const files = [
      'kind/up.sh',
      'kind/check.sh',
      'kind/down.sh',
      'kind/lib.sh',
      ...new Set(APPLIED.map(({ file }) => file)),
    ]
    const missing = files.flatMap((file) =>
      [...textOf(file).matchAll(/(?<![\w$/{}.-])((?:[\w-]+\/)*[\w-]+\.(?:yaml|sh|env))\b/g)]
        .map(([, name = '']) => name)
        .filter(
          (name) =>
            ![name, `kind/${name}`, `conf-examples/${name}`, `conf-examples/daemonset/${name}`].some((each) =>
              existsSync(new URL(`../../${each}`, import.meta.url)),
            ),
        )
        .map((name) => `${file}: ${name}`),
    )
    expect(missing).toEqual([])
  })
})
