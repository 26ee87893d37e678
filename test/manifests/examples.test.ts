import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { parseConfig } from '../../src/config/config.ts'
import { effectiveConfig } from '../../src/config/overrides.ts'
import { UNKNOWN_SETS } from '../../src/config/route-sets.ts'
import { CONF, KEYS_OF } from '../../src/config/schema.ts'
import { isWithin } from '../../src/net/address.ts'
import { all, allIn, configurations, documents, EXAMPLES, oneIn, pluginsOf, textOf } from '../support/examples.ts'

const page = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

describe('an example', () => {
  const runnable = EXAMPLES.filter((file) => configurations(file).length > 0)

  it.each(runnable)('%s is a configuration that ADD takes', (file) => {
    for (const conf of configurations(file)) expect(() => parseConfig(conf)).not.toThrow()
  })

  it.each(EXAMPLES)('%s is of a kind that is known', (file) => {
    expect(documents(file)).not.toEqual([])
  })

  const commented = [...EXAMPLES.filter((file) => file.endsWith('.yaml')), 'logrotate/x-calico-route']

  it.each([...EXAMPLES, 'logrotate/x-calico-route'])('%s is in the list of examples', (file) => {
    expect(page('conf-examples/README.md')).toContain(`(${file})`)
  })

  it.each(commented)('%s says when to use it, in three lines', (file) => {
    const [, head = ''] = /^((?:# .*\n)+)/.exec(textOf(file)) ?? []
    expect(head.trim().split('\n')).toHaveLength(3)
    expect(head).toContain('\n# Use it ')
  })

  it('rotates the log file that another one names', () => {
    const [{ logFile } = { logFile: undefined }] = configurations('all-keys.json')
    expect(textOf('logrotate/x-calico-route')).toContain(`\n${logFile} {\n`)
  })

  it('shows every key there is', () => {
    const [shown] = configurations('all-keys.json')
    expect(Object.keys(shown ?? {})).toEqual(expect.arrayContaining(Object.keys(CONF._zod.def.shape)))
    for (const [key, inner] of Object.entries(KEYS_OF)) {
      const written = new Set([shown?.[key]].flat().flatMap((one) => Object.keys(one ?? {})))
      expect([key, [...written].sort()]).toEqual([key, Object.keys(inner).sort()])
    }
  })
})

const FIRST_NETWORK = 'v1.multus-cni.io/default-network'
const OTHER_NETWORKS = 'k8s.v1.cni.cncf.io/networks'

describe('examples agree with each other', () => {
  const vm = oneIn('virtual-machine.yaml', 'VirtualMachine')
  const { annotations, labels } = vm.spec.template.metadata
  const { networks, domain } = vm.spec.template.spec
  const v1 = oneIn('cloud-init-v1.yaml', 'cloud-init 1').config
  const v2 = oneIn('cloud-init-v2.yaml', 'cloud-init 2').ethernets
  const policy = oneIn('network-policy.yaml', 'NetworkPolicy')
  const vpc = oneIn('vpc.yaml', 'Vpc')
  const natGateway = oneIn('vpc-nat-gateway.yaml', 'VpcNatGateway')
  const subnets = all('Subnet')
  const definitions = all('NetworkAttachmentDefinition')
  const named = (list: { metadata: { name: string } }[]) => list.map(({ metadata }) => metadata.name)
  const vpcNet = subnets.find(({ metadata }) => metadata.name === 'tenant-vpc-net')
  const cidrs = vpcNet?.spec.cidrBlock.split(',') ?? []
  const [gateway4, gateway6] = vpcNet?.spec.gateway.split(',') ?? []
  const dsts = (file: string) =>
    configurations(file).flatMap(({ routes }) => (routes as { dst: string }[]).map(({ dst }) => dst))
  const vmAddress = JSON.parse(annotations['cni.projectcalico.org/ipAddrs'] ?? '[]')[0]
  const vpcAddress = annotations['vpc-net.tenant.ovn.kubernetes.io/ip_address']
  /** What pods, VMs and gateways ask Multus and Kube-OVN for. */
  const annotated = [
    ...all('VirtualMachine').map(({ spec }) => spec.template.metadata.annotations),
    ...all('Pod').map(({ metadata }) => metadata.annotations),
    ...all('VpcNatGateway').flatMap(({ metadata, spec }) => [metadata.annotations ?? {}, spec.annotations ?? {}]),
  ]
  const macs = domain.devices.interfaces.map(({ macAddress }) => macAddress)

  it.each<[what: string, value: unknown, expected: unknown]>([
    ["the VM's address in the VPC: cloud-init v1", v1[1]?.subnets[0]?.address, vpcAddress],
    ["the VM's address in the VPC: cloud-init v2", v2.vpc?.addresses?.[0], `${vpcAddress}/24`],
    ["the VPC's gateway: cloud-init v1", v1[1]?.subnets[0]?.routes?.[0]?.gateway, gateway4],
    ["the VPC's gateway: cloud-init v2", v2.vpc?.routes[0], { to: '0.0.0.0/0', via: gateway4 }],
    [
      "the VPC's gateways: all-keys.json",
      configurations('all-keys.json')[0]?.ovnGateway,
      expect.objectContaining({ ipv4: gateway4, ipv6: gateway6 }),
    ],
    ["the VM's MACs: cloud-init v1", v1.map((nic) => nic.mac_address), macs],
    ["the VM's MACs: cloud-init v2", Object.values(v2).map((nic) => nic.match.macaddress), macs],
    ["the VM's MAC in the VPC", annotations['vpc-net.tenant.ovn.kubernetes.io/mac_address'], macs[1]],
    ['the first NIC is asked for by DHCP', [v1[0]?.subnets[0]?.type, v2.underlay?.dhcp4], ['dhcp4', true]],
    [
      "Calico's address, by hand",
      configurations('by-hand.json')[0]?.prevResult,
      expect.objectContaining({
        ips: expect.arrayContaining([expect.objectContaining({ address: `${vmAddress}/32` })]),
      }),
    ],
    ["the pods' own prefix: cloud-init v2", v2.underlay?.routes[0]?.to, dsts('calico-underlay.yaml')[0]],
    ['the prefixes behind Calico, in either order', dsts('calico-second.yaml'), dsts('calico-underlay.yaml')],
    [
      'the IPv4 prefixes behind Calico, by hand',
      dsts('by-hand.json'),
      dsts('calico-underlay.yaml').filter((dst) => !dst.includes(':')),
    ],
    ["the VM's subnet", annotations['vpc-net.tenant.ovn.kubernetes.io/logical_switch'], vpcNet?.metadata.name],
    ["the policy's VM", policy.spec.selector, `vm.kubevirt.io/name == '${vm.metadata.name}'`],
    ["the VM's label", labels['vm.kubevirt.io/name'], vm.metadata.name],
    ["the policy's namespace", policy.metadata.namespace, vm.metadata.namespace],
    ["the VPC's namespace", vpc.spec.namespaces, [vm.metadata.namespace]],
    ["the NAT gateway's VPC", natGateway.spec.vpc, vpc.metadata.name],
    ["the NAT gateway's subnet", natGateway.spec.subnet, vpcNet?.metadata.name],
    ['the prefixes behind Canal', dsts('canal-underlay.yaml'), dsts('calico-underlay.yaml')],
    ['the prefixes behind Calico, with masquerade', dsts('calico-vm-masquerade.yaml'), dsts('calico-underlay.yaml')],
    ['the Service networks, by ptp and for DNS', dsts('ptp-services.conflist'), dsts('vpc-dns.yaml')],
    ["the VPC's way out", vpc.spec.staticRoutes[0]?.nextHopIP, natGateway.spec.lanIp],
    [
      'the default network is the first NIC',
      networks.map(({ name, multus }) => [name, multus?.default === true]),
      [
        ['underlay', true],
        ['vpc', false],
      ],
    ],
    [
      'networks and NICs go by the same names',
      domain.devices.interfaces.map(({ name }) => name),
      networks.map(({ name }) => name),
    ],
    ['KubeVirt is told of where it is', configurations('calico-vm.yaml')[0]?.kubevirt, true],
  ])('%s', (_, value, expected) => {
    expect(value).toEqual(expected)
  })

  it.each<[what: string, address: string | undefined, prefixes: readonly string[]]>([
    ["the VM's address in the VPC", vpcAddress, cidrs],
    ["the VPC's gateway", gateway4, cidrs],
    ["the NAT gateway's address in the VPC", natGateway.spec.lanIp, cidrs],
    ["the VM's address on Calico", vmAddress, dsts('calico-underlay.yaml')],
    ['what the policy allows', policy.spec.egress[0]?.destination.nets[0], dsts('calico-vm.yaml')],
    ["the VPC's subnet", cidrs[0], dsts('vpc-nat-gateway.yaml')],
    ...all('VpcNatGateway').map(
      ({ spec: { lanIp, subnet } }) =>
        [
          `the gateway's address in ${subnet}`,
          lanIp,
          subnets.find(({ metadata }) => metadata.name === subnet)?.spec.cidrBlock.split(',') ?? [],
        ] as [string, string, string[]],
    ),
    ...subnets.map(
      ({ metadata, spec }) =>
        [`the gateway of ${metadata.name}`, spec.gateway.split(',')[0], spec.cidrBlock.split(',')] as [
          string,
          string,
          string[],
        ],
    ),
  ])('%s is where it belongs', (_, address = '', prefixes) => {
    expect(
      prefixes.some((prefix) => isWithin(address, prefix)),
      `${address} in ${prefixes}`,
    ).toBe(true)
  })

  it('names networks that there are', () => {
    const there = definitions.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
    const asked = [
      ...all('VirtualMachine').flatMap(({ spec }) =>
        spec.template.spec.networks.map(({ multus }) => multus?.networkName),
      ),
      ...annotated.flatMap((annotations) => [annotations[FIRST_NETWORK], annotations[OTHER_NETWORKS]]),
    ].filter((name) => name !== undefined)
    expect(asked).toHaveLength(8)
    for (const name of asked) expect(there).toContain(name)
  })

  it('names subnets and VPCs that there are', () => {
    const switches = annotated.flatMap((annotations) =>
      Object.entries(annotations).flatMap(([key, value]) => (key.endsWith('/logical_switch') ? value : [])),
    )
    const gateways = all('VpcNatGateway')
    const dns = all('VpcDns')
    for (const name of [...switches, ...gateways.flatMap(({ spec }) => [spec.subnet, ...spec.externalSubnets])])
      expect(named(subnets)).toContain(name)
    for (const { spec } of [...gateways, ...dns]) expect(spec.vpc).toBe(vpc.metadata.name)
    for (const { spec } of dns) expect(named(subnets)).toContain(spec.subnet)
    expect([switches.length, gateways.length, dns.length]).toEqual([3, 2, 1])
  })

  it("takes for Kube-OVN's DNS the network that it is for", () => {
    const [{ metadata } = { metadata: undefined }] = allIn('vpc-dns.yaml', 'NetworkAttachmentDefinition')
    const { data } = oneIn('vpc-dns.yaml', 'ConfigMap')
    expect([data['nad-name'], data['nad-provider']]).toEqual([
      metadata?.name,
      `${metadata?.name}.${metadata?.namespace}.ovn`,
    ])
    expect(isWithin(data['coredns-vip'] ?? '', dsts('vpc-dns.yaml')[0] ?? '')).toBe(true)
  })

  it('names its provider after the NetworkAttachmentDefinition, and has a Subnet for it', () => {
    const providers = definitions.flatMap((definition) => {
      const { name, namespace } = definition.metadata
      return pluginsOf(definition).plugins.flatMap(({ type, provider, ipam }) => {
        // "ovn" is Kube-OVN's name for the pod's first network, whichever that is
        if (type === 'kube-ovn' && provider !== 'ovn') return { provider, expected: `${name}.${namespace}.ovn` }
        if (type === 'macvlan')
          return { provider: (ipam as { provider: string }).provider, expected: `${name}.${namespace}` }
        return []
      })
    })
    expect(providers).toHaveLength(6)
    for (const { provider, expected } of providers) {
      expect(provider).toBe(expected)
      // that of vpc-dns.yaml leads to a Subnet which Kube-OVN makes itself
      if (provider !== 'ovn-nad.default.ovn') expect(subnets.map(({ spec }) => spec.provider)).toContain(provider)
    }
  })

  it('says by which annotation macvlan gets its gateway', () => {
    const providers = definitions
      .filter(({ metadata }) => metadata.name === 'macvlan-underlay')
      .flatMap((definition) => pluginsOf(definition).plugins.map(({ ipam }) => (ipam as { provider: string }).provider))
    expect(providers).toHaveLength(1)
    const [provider] = providers
    const annotation = `${provider}.kubernetes.io/default_route: "true"`
    expect(textOf('macvlan-underlay.yaml')).toContain(`with the pod annotation ${annotation}:\n`)
    expect(page('conf-examples/README.md')).toContain(`\`${annotation}\``)
  })

  it('shows what a pod may ask for, as the annotation of its first network', () => {
    const [conf] = configurations('calico-per-pod.yaml')
    const [, annotation = ''] =
      /^# v1\.multus-cni\.io\/default-network: '(.*)'$/m.exec(textOf('calico-per-pod.yaml')) ?? []
    const [network] = JSON.parse(annotation)
    expect(definitions.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)).toContain(
      `${network.namespace}/${network.name}`,
    )
    const { routes } = effectiveConfig({ ...conf, args: { cni: network['cni-args'] } }, UNKNOWN_SETS)
    expect(routes.map(({ dst }) => dst)).toEqual(['10.50.31.21/32'])
  })

  it('has Calico second only where its datastore is etcd', () => {
    const stores = definitions.flatMap((definition) =>
      pluginsOf(definition).plugins.flatMap(({ type, datastore_type }) =>
        type === 'calico' ? [[definition.metadata.name, datastore_type]] : [],
      ),
    )
    expect(stores).toContainEqual(['calico-second', 'etcdv3'])
    expect(stores.filter(([, store]) => store !== 'kubernetes')).toHaveLength(1)
  })

  it('keeps to the addresses of one deployment', () => {
    const DEPLOYMENT = [
      ...['10.199.0.0/16', 'fd00:10:199::/64', '10.50.0.0/16', 'fd00:10:50::/48'], // pods, nodes
      ...['172.20.0.0/16', 'fd00:10:172::/112', '10.16.0.0/16', 'fd00:10:16::/112'], // Services, Kube-OVN's default subnet
      ...['10.0.0.0/16', 'fd00:10:0:1::/64', '172.16.3.0/24', '172.16.4.0/24'], // VPCs and the outside
      ...['169.254.1.1/32', '10.1.0.0/24', 'fd00:10:1::/64', '0.0.0.0/32', '255.255.255.0/32', '::/128'], // Calico's, ptp's, any
      ...['10.60.0.0/16', '10.70.0.0/16'], // what all-keys.json needs more
    ]
    const LITERAL = /(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|fd00:[0-9a-f:]+)/g
    const strange = EXAMPLES.flatMap((file) =>
      (textOf(file).match(LITERAL) ?? [])
        .filter((address) => !DEPLOYMENT.some((prefix) => isWithin(address, prefix)))
        .map((address) => `${file}: ${address}`),
    )
    expect(strange).toEqual([])
  })
})

describe('the cluster of kind/', () => {
  const { networking, nodes } = parse(page('kind/cluster.yaml'))

  it('has the pod and Service networks of the examples', () => {
    const [pods4, pods6] = networking.podSubnet.split(',')
    const [services4, services6] = networking.serviceSubnet.split(',')
    const dsts = EXAMPLES.flatMap(configurations).flatMap(({ routes = [] }) =>
      (routes as { dst: string }[]).map(({ dst }) => dst),
    )
    for (const subnet of [pods4, pods6, services4, services6]) expect(dsts).toContain(subnet)
    expect(networking).toMatchObject({ disableDefaultCNI: true, ipFamily: 'dual' })
  })

  it('leaves it to the DaemonSet to bring the plugin', () => {
    for (const node of nodes) expect(node).not.toHaveProperty('extraMounts')
  })
})

describe('docs/install.md', () => {
  // A block that stands in a file too is introduced by a comment with the file's name.
  const blocks = [...page('docs/install.md').matchAll(/<!-- (conf-examples\/\S+) -->\n```\w+\n([\s\S]*?)```/g)]

  it('shows examples', () => {
    expect(blocks).not.toEqual([])
  })

  it.each(blocks.map(([, file, text]) => [file ?? '', text ?? '']))('shows %s as it is', (file, text) => {
    expect(text).toBe(textOf(file.replace('conf-examples/', '')))
  })
})
