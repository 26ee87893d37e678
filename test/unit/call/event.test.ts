import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { boundArgs } from '../../../src/cni/pod-args.ts'
import { checkEnv, type NetConf, parseDocument, parseRequest } from '../../../src/cni/request.ts'
import { parsePrevResult } from '../../../src/cni/result.ts'
import { parseConfig } from '../../../src/config/config.ts'
import { effectiveConfig } from '../../../src/config/overrides.ts'
import { UNKNOWN_SETS } from '../../../src/config/route-sets.ts'
import { parsed } from '../../../src/kernel/look.ts'
import { parseRoutes } from '../../../src/net/iproute2.ts'
import type { Route } from '../../../src/net/route.ts'
import { planAdd } from '../../../src/plan/plan.ts'
import { problemText } from '../../../src/plan/problem.ts'
import { inputsOf } from '../../../src/verbs/inputs.ts'
import { ALL_ATTRIBUTES } from '../../support/attributes.ts'
import { CALICO } from '../../support/calico.ts'
import { event } from '../../support/event.ts'
import { refusal } from '../../support/refusal.ts'
import { link, route } from '../../support/snapshots.ts'

/** So much of a message is seen in the event of a VM's pod, behind what Multus says: its subject, and what is wrong with it. */
const SEEN = 90

const DST = 'fd00:10:50:1111:2222:3333:4444:0/112'
const GW = 'fd00:10:50:1111:2222:3333:4444:5555'
const routes = (...list: object[]) => ({ routes: list })

it('an event has room for the beginning of a message', () => {
  const message = 'm'.repeat(2000)
  expect(event(message)).toMatch(new RegExp(`failed \\(add\\): m{${SEEN},}$`))
})

describe('in the event of a pod that does not start one sees', () => {
  const config = (conf: NetConf) => () => parseConfig(conf)
  const override = (cni: NetConf) => () =>
    effectiveConfig({ overrides: { allow: ['routes', 'ovnGateway'], within: [DST] }, args: { cni } }, UNKNOWN_SETS)
  const prev = (prevResult: unknown) => () => parsePrevResult(prevResult)
  const request = (document: unknown) => () => parseRequest({ CNI_COMMAND: 'ADD' }, document)

  // Values are as long as they may well be: what is wrong must be seen, not all of them.
  it.each<[what: string, () => unknown]>([
    ['has host bits set', config(routes({ dst: DST.replace(':0/', ':8/').replace('112', '64') }))],
    ['has no prefix length', config(routes({ dst: GW }))],
    ['is not an IP prefix', config(routes({ dst: `${DST}/1` }))],
    ['is not an IP address', config(routes({ dst: DST, gw: DST }))],
    ['is an IPv6 address, but', config(routes({ dst: '10.50.0.0/16', gw: GW }))],
    ['routes[0].nexthop: unknown key', config(routes({ dst: DST, nexthop: GW }))],
    ['must be remove, demote or keep', config({ defaultRoute: 'delete' })],
    ['cannot have scope link', config(routes({ dst: DST, gw: CALICO[6], scope: 'link' }))],
    ['onlink: needs a gateway', config(routes({ dst: DST, onlink: true }))],
    ['must be at least 1280 for IPv6', config(routes({ dst: DST, mtu: 1000 }))],
    ['is the default route', config(routes({ dst: '::/0' }))],
    ['must be an integer from 0 to 4294967295', config(routes({ dst: DST, priority: 4_294_967_296 }))],
    ['must be "auto" or an IP address', config({ ovnGateway: { ipv6: DST } })],
    ['is not an IPv4 address', config({ ovnGateway: { ipv4: GW } })],
    ['must be an absolute path without ".." and without "/" at its end', config({ logFile: 'log/x-calico-route.log' })],
    ['args.cni.logFile: not in "overrides.allow"', override({ logFile: '/etc/passwd' })],
    ['a pod cannot set this', override(routes({ dst: DST, table: 100 }))],
    ['a pod cannot set this', override({ ovnGateway: { dev: 'net1' } })],
    ['is outside "overrides', override(routes({ dst: '2001:db8:1111:2222:3333:4444::/96' }))],
    [
      'at most 16384 are read',
      () => {
        throw boundArgs(`{"args":{"cni":"${'x'.repeat(20_000)}"}}`).refusal
      },
    ],
    ['prevResult: missing; put x-calico-route after the plugin that makes the NIC', prev(undefined)],
    ['stdin: a whole plugin list; write its entry', () => inputsOf({ plugins: [] }, UNKNOWN_SETS)],
    ['prevResult: is of CNI 0.2.0 or older', prev({ ip4: {} })],
    ['prevResult.ips[0].address: must be an address with prefix length', prev({ ips: [{ address: GW }] })],
    ['prevResult.interfaces[0].name: missing', prev({ interfaces: [{}] })],
    ['cniVersion: "0.2.0" is not supported', request({ name: 'net', cniVersion: '0.2.0' })],
    ['cniVersion: must be a string', request({ name: 'net', cniVersion: 1 })],
    ['name: missing', request({ cniVersion: '1.0.0' })],
    ['must start with a letter or digit', request({ name: 'ネット', cniVersion: '1.0.0' })],
    ['stdin: not a JSON object', request([])],
    ['stdin: not exactly one JSON document', () => parseDocument('{"a": }')],
    ['stdin: empty', () => parseDocument('')],
    ['CNI_NETNS: not set', () => checkEnv({ CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'a', CNI_IFNAME: 'eth0' })],
    ['ip: answered with something other than JSON', () => parsed(parseRoutes, 'x')],
  ])('%s', (what, run) => {
    expect(event(refusal(run).message)).toContain(what)
  })

  /** Those that only a kernel or another program provokes: as they stand in the source, up to what they name. */
  const source = (file: string) => readFileSync(new URL(`../../../src/${file}`, import.meta.url), 'utf8')
  it.each([
    ['kernel/netns.ts', 'CNI_NETNS: cannot open the network namespace'],
    ['kernel/netns.ts', 'CNI_NETNS: not a network namespace: '],
    ['kernel/ip-errors.ts', 'nsenter: cannot enter'],
    ['kernel/ip-errors.ts', 'nsenter: could not be started'],
    ['kernel/ip-errors.ts', 'nsenter: not found on this node'],
    ['kernel/ip-errors.ts', 'ip: too old on this node; install iproute2 5.3 or newer'],
    ['kernel/ip-errors.ts', 'ip: gave no answer'],
    ['kernel/ip.ts', 'timed out after'],
    ['call/stdio.ts', 'stdin: cannot be read'],
  ])('of %s: %s', (file, what) => {
    expect(source(file)).toContain(what.replace(/^nsenter: not found/, '${tool}: not found'))
    expect(event(what)).toContain(what)
  })
})

describe('of what stands against a configuration in a pod one sees', () => {
  const GATEWAY = 'fd00:10:0:1111:2222:3333:4444:1'
  const DEFAULT = route(6, '::/0', { gw: GATEWAY, dev: 'net1' })
  const hops = ['net1', 'eth0'].map((dev) => ({ gw: GATEWAY, dev, weight: 1, onlink: false }))
  const connected = route(6, DST, { dev: 'net1', protocol: 2, priority: 256 })
  const on = (conf: NetConf, ...present: Route[]) => {
    const snapshot = { routes: present, links: [link('eth0', '10.199.3.153'), link('net1', '10.0.1.11')] }
    return planAdd(parseConfig(conf), 'net1', snapshot).problems.map(problemText)
  }

  it.each<[what: string, problems: string[]]>([
    ['no next hop to', on(routes({ dst: DST }))],
    ['is not an address of the pod', on(routes({ dst: DST, src: GW }))],
    ['the pod has no interface net9', on(routes({ dst: DST, dev: 'net9' }))],
    [
      'the pod already has another route to',
      on(routes({ dst: DST, gw: GW }), route(6, DST, { gw: GATEWAY, dev: 'eth0' })),
    ],
    ['cannot be set on the route of the kernel', on(routes({ dst: DST, ...ALL_ATTRIBUTES }), connected)],
    ['"encap" could not be restored', on({}, { ...DEFAULT, opaque: 'encap' })],
    ['cannot be split', on({}, route(6, '::/0', { nhid: 4_294_967_295, nexthops: hops }))],
    ['metric 300000000 is too large to demote', on({ defaultRoute: 'demote' }, { ...DEFAULT, priority: 3e8 })],
    ['is not on-link on net1', on({ ovnGateway: GW })],
    ['no IPv4 or IPv6 gateway is known', on({ ovnGateway: 'auto' })],
    [
      'the pod has another default route with the same metric',
      on({ ovnGateway: { ipv6: GW, onlink: true } }, { ...DEFAULT, dev: 'eth0' }),
    ],
    ['net1 would keep no IPv4 route', on({ kubevirt: true })],
  ])('%s', (what, problems) => {
    expect(problems).toHaveLength(1)
    expect(event(problems[0] ?? '')).toContain(what)
  })
})

describe('of the errors that docs/troubleshooting.md shows one sees', () => {
  const page = readFileSync(new URL('../../../docs/troubleshooting.md', import.meta.url), 'utf8')
  const [block = ''] = /<!-- operator-errors:begin -->\n.*<!-- operator-errors:end -->/s.exec(page) ?? []
  const shown = [...block.matchAll(/failed \(add\): (.*)\n/g)].map(([, message = '']) => message)

  /** What is wrong, in each of them. */
  const POINTS = [
    'has host bits set',
    'unknown key; did you mean "gw"?',
    'must be remove, demote or keep',
    'is already in routes[0]',
    'is an IPv6 address, but 10.50.0.0/16 is IPv4',
    'ip refused it: Nexthop has invalid gateway',
    'is not an address of the pod',
    'no next hop to fd00:10:50::/48 is known on eth0, which has no IPv6',
    'the pod already has another route to 10.50.0.0/16',
    'put x-calico-route after the plugin that makes the NIC',
    'is not supported',
    'ip: not found on this node in /usr/sbin:/usr/bin:/sbin:/bin; install iproute2',
  ]

  it('every one is looked at', () => {
    expect(shown).toHaveLength(POINTS.length)
  })

  it.each(POINTS)('%s', (point) => {
    expect(shown.filter((message) => event(message).includes(point))).toHaveLength(1)
  })
})
