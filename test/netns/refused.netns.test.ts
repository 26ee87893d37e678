import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CalicoPod, calicoPod } from '../support/calico.ts'
import { dump, removeNamespaces } from '../support/netns.ts'
import { ovnNic } from '../support/ovn.ts'
import { calicoResult } from '../support/results.ts'
import { environment, run } from '../support/runtime.ts'
import { failure } from '../support/verbs.ts'

// Every call here must leave the pod alone, so that one pod serves them all.
let pod: CalicoPod
let before: string
beforeAll(async () => {
  pod = await calicoPod()
  await ovnNic(pod, { defaults: 'metric 2000' })
  before = await dump(pod.netns)
})
afterAll(removeNamespaces)

interface Refusal {
  /** Whole text of stdin, or keys of the configuration. */
  config?: string | object
  /** Variables set otherwise; undefined: not set. */
  env?: Record<string, string | undefined>
  code: number
  /** How `msg` starts: the subject. */
  subject: string
  /** What else `msg` says. */
  says?: string
}

async function refused({ config = {}, env = {}, code, subject, says = '' }: Refusal, verb: 'ADD' | 'CHECK' = 'ADD') {
  const good = { routes: [{ dst: '10.50.0.0/16' }], prevResult: calicoResult(pod) }
  const variables = Object.entries({ ...environment(verb, pod), ...env }).filter(([, value]) => value !== undefined)
  const answer = await run(
    Object.fromEntries(variables) as Record<string, string>,
    typeof config === 'string' ? config : { ...good, ...config },
  )
  // Taken before anything is asserted: a call that is not refused must not fail the tests after it.
  const [was, after] = [before, await dump(pod.netns)]
  before = after
  const error = failure(answer)
  expect(error).toEqual({
    cniVersion: expect.stringMatching(/^1\.[01]\.0$/),
    code,
    msg: expect.stringContaining(says),
    ...(error.details === undefined ? {} : { details: expect.stringMatching(/\S/) }),
  })
  expect(error.msg.slice(0, subject.length)).toBe(subject)
  expect(error.msg.charAt(subject.length)).not.toMatch(/[A-Za-z0-9.[]/)
  expect(after).toBe(was)
}

/** Rows for `test.each`, titled by what is wrong in them. */
const table = (refusals: Refusal[]) =>
  refusals.map((refusal) => {
    const wrong = JSON.stringify(refusal.config ?? refusal.env, (_, value) => (value === undefined ? 'not set' : value))
    return [wrong.replace(/^\{"routes":\[\{"dst":"10.60.0.0\/16"\},(.*)\]\}$/, '$1'), refusal] as const
  })
const route = (keys: object | unknown, subject: string, says?: string): Refusal => ({
  config: { routes: [{ dst: '10.60.0.0/16' }, keys] },
  code: 7,
  subject: `routes[1]${subject}`,
  ...(says === undefined ? {} : { says }),
})
const dst = (value: unknown, says?: string) => route({ dst: value }, '.dst', says)
const key = (keys: object, says?: string) => route({ dst: '10.50.0.0/16', ...keys }, `.${Object.keys(keys)[0]}`, says)
const key6 = (keys: object, says?: string) =>
  route({ dst: 'fd00:10:50::/64', ...keys }, `.${Object.keys(keys)[0]}`, says)

describe('refused with code 7 and the key path, the pod untouched: routes[1]', () => {
  test.each(
    table([
      // the entry itself
      route('10.50.0.0/16', ''),
      route(null, ''),
      route([], ''),
      route({}, '.dst'),
      route({ gw: '169.254.1.1' }, '.dst'),
      // dst
      dst(7),
      dst(''),
      dst('default'),
      dst('10.50.0.0', '/32'),
      dst('fd00:10:50::', '/128'),
      dst('10.50.0.1/16', '10.50.0.0/16'),
      dst('fd00:10:50::1/64', 'fd00:10:50::/64'),
      dst('10.050.0.0/16'),
      dst('10.50.0.0/016'),
      dst('10.50.0.0/33'),
      dst('10.50.0.0/-1'),
      dst('10.50.0.0/'),
      dst('10.50.0/16'),
      dst('10.50.0.0/255.255.0.0'),
      dst('256.0.0.0/8'),
      dst('fd00::/129'),
      dst('fd00:::/64'),
      dst('fe80::%eth0/64'),
      dst(' 10.50.0.0/16'),
      dst('10.50.0.0/16\n'),
      dst('10.50.0.0/16 via 10.0.1.1'),
      dst('10.50.0.0/16\nroute del default'),
      dst('0.0.0.0/0'),
      dst('::/0'),
      // gw
      key({ gw: 'fe80::1' }),
      key6({ gw: '169.254.1.1' }),
      key({ gw: '169.254.1.1/32' }),
      key({ gw: '169.254.1' }),
      key({ gw: '' }),
      key({ gw: 7 }),
      ...['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255'].map((gw) => key({ gw })),
      ...['0.0.0.0', '224.0.0.1', '255.255.255.255'].map((src) => key({ src })),
      key({ gw: '169.254.1.1 dev net1' }),
      key6({ gw: 'fe80::1%eth0' }),
      key({ scope: 'link', gw: '169.254.1.1' }),
      key({ scope: 253, gw: '169.254.1.1' }),
      // dev
      key({ dev: '' }),
      key({ dev: 'eth0 table 1' }),
      key({ dev: 'a/b' }),
      key({ dev: 'sixteen-bytes-xx' }),
      key({ dev: 7 }),
      key({ dev: 'eth9' }, 'eth9'),
      // src
      key({ src: 'fd00:10:199::153' }),
      key6({ src: '10.199.3.153' }),
      key({ src: '10.199.3.153/32' }),
      key({ src: 'eth0' }),
      key({ src: 7 }),
      key({ src: '10.199.9.9' }, '10.199.9.9'),
      // numbers
      ...['priority', 'table'].flatMap((word) =>
        [-1, 4294967296, 1.5, '7', true].map((value) => key({ [word]: value })),
      ),
      key({ table: 255 }),
      key({ table: 'main' }),
      ...[-1, 256, 1.5, 'lnk', '', {}].map((scope) => key({ scope })),
      ...[-1, 0, 1.5, '1400', 4294967296].map((mtu) => key({ mtu })),
      ...[-1, 0, 1.5, '1360', 4294967296].map((advmss) => key({ advmss })),
      ...['yes', 1].map((onlink) => key({ onlink })),
      // misspelt keys are named with the nearest right one
      route({ dst: '10.50.0.0/16', gateway: '169.254.1.1' }, '.gateway', '"gw"'),
      route({ dst: '10.50.0.0/16', metric: 5 }, '.metric', '"priority"'),
      route({ dst: '10.50.0.0/16', prioritty: 5 }, '.prioritty', '"priority"'),
      route({ dst: '10.50.0.0/16', Mtu: 1400 }, '.Mtu', '"mtu"'),
      route({ dst: '10.50.0.0/16', on_link: true }, '.on_link', '"onlink"'),
      route({ dst: '10.50.0.0/16', tabel: 5 }, '.tabel', '"table"'),
      // twice the same
      route({ dst: '10.60.0.0/16' }, ''),
      route({ dst: '10.60.0.0/16', table: 254, priority: 0, mtu: 1400 }, ''),
    ]),
  )('%s', async (_, refusal) => {
    await refused(refusal)
  })
})

describe('refused with the key path, the pod untouched', () => {
  const config = (keys: object, subject = Object.keys(keys)[0] ?? '', says = ''): Refusal => ({
    config: keys,
    code: 7,
    subject,
    says,
  })
  test.each(
    table([
      config({ routes: {} }),
      config({ routes: '10.50.0.0/16' }),
      config({ defaultRoute: 'delete' }),
      config({ defaultRoute: true }),
      config({ defaultRoute: [] }),
      config({ defaultRoute: { ipv4: 'gone' } }, 'defaultRoute.ipv4'),
      config({ defaultRoute: { ipv6: 5 } }, 'defaultRoute.ipv6'),
      config({ defaultRoute: { ipV4: 'keep' } }, 'defaultRoute.ipV4', '"ipv4"'),
      config({ defaultRoute: { v6: 'keep' } }, 'defaultRoute.v6', '"ipv6"'),
      config({ dryRun: 'true' }),
      config({ dryRun: 1 }),
      config({ logLevel: 'verbose' }),
      config({ logFile: 'x-calico-route.log' }),
      config({ logFile: '' }),
      config({ logFile: 7 }),
      // the default gateway
      config({ ovnGateway: 'none' }),
      ...['0.0.0.0', '::', '::1', 'ff02::1', '127.0.0.1'].map((ovnGateway) => config({ ovnGateway })),
      ...['defaultroute', 'Routes', 'ovn_gateway', 'flushgateway', 'addroutes'].map((word) =>
        config({ [word]: 'keep' }),
      ),
      config({ ovnGateway: '10.9.9.9' }, 'ovnGateway', '"onlink"'),
      config({ ovnGateway: { ipv4: 'nonsense' } }, 'ovnGateway.ipv4'),
      config({ ovnGateway: { ipv4: 'fd00:10:0:1::1' } }, 'ovnGateway.ipv4'),
      config({ ovnGateway: { ipv4: '10.0.1.1', dev: 'eth9' } }, 'ovnGateway.dev', 'eth9'),
      config({ ovnGateway: { ipv4: '10.0.1.1', priority: -1 } }, 'ovnGateway.priority'),
      config({ ovnGateway: { ipv5: '10.0.1.1' } }, 'ovnGateway.ipv5', '"ipv4"'),
      // VMs, and what pods may change
      config({ kubevirt: 'yes' }),
      config({ overrides: [] }),
      config({ overrides: { allow: ['route'] } }, 'overrides.allow[0]'),
      config({ overrides: { within: ['10.50.0.1/16'] } }, 'overrides.within[0]'),
      config({ overrides: { alow: ['routes'] } }, 'overrides.alow', '"allow"'),
      { config: { args: { cni: { routes: [] } } }, code: 120, subject: 'args.cni.routes' },
      {
        config: {
          overrides: { allow: ['routes'], within: ['10.50.0.0/16'] },
          args: { cni: { routes: [{ dst: '10.60.0.0/16' }] } },
        },
        code: 120,
        subject: 'args.cni.routes[0].dst',
      },
      // the Result of the plugins before us
      config({ prevResult: undefined }, 'prevResult'),
      config({ prevResult: null }, 'prevResult'),
      config({ prevResult: 'eth0' }, 'prevResult'),
      config({ prevResult: [] }, 'prevResult'),
      config({ prevResult: { cniVersion: '0.2.0', ip4: { ip: '10.199.3.153/32' } } }, 'prevResult'),
      config({ prevResult: { cniVersion: '1.0.0', interfaces: 'eth0' } }, 'prevResult.interfaces'),
      config({ prevResult: { cniVersion: '1.0.0', interfaces: [7] } }, 'prevResult.interfaces[0]'),
      config({ prevResult: { cniVersion: '1.0.0', ips: {} } }, 'prevResult.ips'),
      config({ prevResult: { cniVersion: '1.0.0', ips: [{}] } }, 'prevResult.ips[0].address'),
      config({ prevResult: { cniVersion: '1.0.0', ips: [{ address: '10.199.3.153' }] } }, 'prevResult.ips[0].address'),
      config({ prevResult: { cniVersion: '1.0.0', ips: [{ address: 'x/32' }] } }, 'prevResult.ips[0].address'),
      config({ prevResult: { cniVersion: '1.0.0', routes: [{ gw: '10.0.1.1' }] } }, 'prevResult.routes[0].dst'),
      config({ prevResult: { cniVersion: '1.0.0', routes: 'default' } }, 'prevResult.routes'),
      config({ name: undefined }, 'name'),
      config({ name: '' }, 'name'),
      config({ name: 'no spaces' }, 'name'),
    ]),
  )('%s', async (_, refusal) => {
    await refused(refusal)
  })

  test('tells every problem at once', async () => {
    const routes = [{ dst: '10.50.0.1/16' }, { dst: '10.60.0.0/16', gw: 'fe80::1' }]
    const answer = await run(environment('ADD', pod), { routes, dryRun: 'yes', prevResult: calicoResult(pod) })
    const { code, msg, details } = failure(answer)
    expect(code).toBe(7)
    for (const path of ['routes[0].dst', 'routes[1].gw', 'dryRun']) expect(`${msg} ${details}`).toContain(path)
    expect(await dump(pod.netns)).toBe(before)
  })

  test('tells every problem at once that only the pod shows', async () => {
    const routes = [
      { dst: '10.50.0.0/16', dev: 'eth9' },
      { dst: '10.60.0.0/16', src: '10.199.9.9' },
      { dst: 'fd00:10:60::/64', dev: 'lo' },
    ]
    const { code, msg, details } = failure(
      await run(environment('ADD', pod), { routes, prevResult: calicoResult(pod) }),
    )
    expect(code).toBe(7)
    for (const path of ['routes[0].dev', 'routes[1].src', 'routes[2]']) expect(`${msg} ${details}`).toContain(path)
    expect(await dump(pod.netns)).toBe(before)
  })

  test('but top-level keys that are not ours are ignored', async () => {
    const config = {
      dryRun: true,
      runtimeConfig: { mac: 'x' },
      args: { cni: {} },
      capabilities: {},
      ipam: {},
      vendor: 7,
    }
    const answer = await run(environment('ADD', pod), { ...config, prevResult: calicoResult(pod) })
    expect(answer.exitCode).toBe(0)
    expect(await dump(pod.netns)).toBe(before)
  })
})

describe('refused by its form, the pod untouched', () => {
  const stdin = (text: string, code: number, subject: string): Refusal => ({ config: text, code, subject })
  test.each(
    table([
      stdin('', 6, 'stdin'),
      stdin('   \n', 6, 'stdin'),
      stdin('{', 6, 'stdin'),
      stdin('{} {}', 6, 'stdin'),
      stdin('{"cniVersion":"1.0.0"} x', 6, 'stdin'),
      stdin('\uFEFF{"cniVersion":"1.0.0","name":"n"}', 6, 'stdin'),
      stdin('[]', 6, 'stdin'),
      stdin('null', 6, 'stdin'),
      stdin('"1.0.0"', 6, 'stdin'),
      stdin('{"cniVersion":7,"name":"n"}', 6, 'cniVersion'),
      stdin('{"name":"n"}', 1, 'cniVersion'),
      stdin('{"cniVersion":"0.2.0","name":"n"}', 1, 'cniVersion'),
      stdin('{"cniVersion":"2.0.0","name":"n"}', 1, 'cniVersion'),
    ]),
  )('%s', async (_, refusal) => {
    await refused(refusal)
  })
})

describe.each(['ADD', 'CHECK'] as const)('refused by its environment, the pod untouched: %s', (verb) => {
  const env = (variables: Record<string, string | undefined>, says = ''): Refusal => ({
    env: variables,
    code: 4,
    subject: Object.keys(variables)[0] ?? '',
    says,
  })
  test.each(
    table([
      env({ CNI_CONTAINERID: undefined }),
      env({ CNI_CONTAINERID: '' }),
      env({ CNI_CONTAINERID: '-c' }),
      env({ CNI_CONTAINERID: 'a/b' }),
      env({ CNI_IFNAME: undefined }),
      env({ CNI_IFNAME: '' }),
      env({ CNI_IFNAME: '.' }),
      env({ CNI_IFNAME: '..' }),
      env({ CNI_IFNAME: 'a/b' }),
      env({ CNI_IFNAME: 'a:b' }),
      env({ CNI_IFNAME: 'eth0 table 1' }),
      env({ CNI_IFNAME: 'sixteen-bytes-xx' }),
      env({ CNI_IFNAME: 'a#b' }),
      env({ CNI_IFNAME: 'a"b' }),
      env({ CNI_IFNAME: "a'b" }),
      env({ CNI_IFNAME: 'a\\b' }),
      env({ CNI_NETNS: undefined }),
      env({ CNI_NETNS: '' }),
      env({ CNI_NETNS: '/run/netns/none' }, '/run/netns/none'),
      env({ CNI_NETNS: '/etc/hostname' }, '/etc/hostname'),
      env({ CNI_NETNS: '/etc' }),
      env({ CNI_NETNS: '/dev/null' }),
      env({ CNI_NETNS: '/proc/self/ns/mnt' }, '/proc/self/ns/mnt'),
      env({ CNI_COMMAND: verb.toLowerCase() }),
      env({ CNI_COMMAND: 'UPDATE' }),
    ]),
  )('%s', async (_, refusal) => {
    await refused(refusal, verb)
  })

  test('tells all variables that are missing together', async () => {
    const { code, msg } = failure(await run({ CNI_COMMAND: verb }, {}))
    expect(code).toBe(4)
    for (const variable of ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME']) expect(msg).toContain(variable)
  })
})

describe('an interface that the pod does not have', () => {
  test.each(['eth9', '-f', 'a%d', '$(reboot)', ';reboot', 'default'])('is refused by ADD: %s', async (ifname) => {
    await refused({ env: { CNI_IFNAME: ifname }, code: 4, subject: 'CNI_IFNAME', says: ifname })
  })
})
