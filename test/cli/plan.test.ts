import { readFileSync } from 'node:fs'
import { execa } from 'execa'
import { afterEach, describe, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { directory } from '../support/examples.ts'
import { changes, removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { add } from '../support/verbs.ts'
import { scratch, tool } from './tool.ts'

afterEach(removeNamespaces)

const UNDERLAY = `${directory}/calico-underlay.yaml`
const VM = `${directory}/calico-vm.yaml`
const ROUTES = [
  { dst: '10.199.0.0/16' },
  { dst: '10.50.0.0/16' },
  { dst: 'fd00:10:199::/64' },
  { dst: 'fd00:10:50::/64' },
]
const at = ({ path, ifname }: { path: string; ifname: string }) => ['--netns', path, '--ifname', ifname]
const diffOf = (text: string) => text.split('\n').filter((line) => /^[-+] /.test(line))

describe('x-calico-route plan', () => {
  test('shows what ADD would change, and changes nothing', async () => {
    const pod = await calicoPod()
    let answer = { stdout: '', stderr: '', exitCode: -1 }
    const { before, after } = await changes(pod.netns, async () => {
      answer = await tool(['plan', ...at(pod), UNDERLAY])
    })
    expect(after).toBe(before)
    expect(answer).toMatchObject({ stderr: '', exitCode: 0 })
    expect(diffOf(answer.stdout).map((line) => line.replace(/ +#/, ' #'))).toEqual([
      '- 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3 # defaultRoute',
      '+ 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 # routes[1]',
      '+ 10.199.0.0/16 via 169.254.1.1 dev eth0 proto 142 # routes[0]',
      '- ::/0 via fe80::ecee:eeff:feee:eeee dev eth0 proto 3 metric 1024 # defaultRoute',
      '+ fd00:10:199::/64 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024 # routes[2]',
      '+ fd00:10:50::/64 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024 # routes[3]',
    ])
    expect(answer.stdout).toContain('\n  169.254.1.1/32 dev eth0 proto 3\n')
  })

  test('foretells what ADD then does', async () => {
    const pod = await calicoPod()
    const prevResult = calicoResult(pod, { cniVersion: '0.3.1' })
    const conf = {
      cniVersion: '0.3.1',
      name: 'k8s-pod-network',
      type: 'x-calico-route',
      routes: ROUTES,
      prevResult,
    } as const
    using files = scratch({ 'conf.json': JSON.stringify(conf) })
    const before = await routes(pod.netns)
    const { stdout } = await tool(['plan', ...at(pod), '-o', 'json', files.file('conf.json')])
    const told = JSON.parse(stdout)
    expect(await add(pod, conf)).toEqual(told.result)
    const after = await routes(pod.netns)
    expect(told.batch).toHaveLength(
      before.filter((one) => !after.includes(one)).length + after.filter((one) => !before.includes(one)).length,
    )
    // and then finds nothing left to do
    const again = JSON.parse((await tool(['plan', ...at(pod), '-o', 'json', files.file('conf.json')])).stdout)
    expect(again.ops).toEqual([])
    // until the NIC leaves
    const leaving = await tool(['plan', '--verb', 'DEL', ...at(pod), files.file('conf.json')])
    expect(diffOf(leaving.stdout)).toHaveLength(ROUTES.length)
    expect(leaving.stdout).not.toContain('Result')
  })

  test('says what is left out of a pod without a family: which keys, on which NIC', async () => {
    const pod = await calicoPod({ families: [4] })
    const conf = { cniVersion: '1.0.0', name: 'net', type: 'x-calico-route', routes: ROUTES, missingFamily: 'skip' }
    using files = scratch({ 'conf.json': JSON.stringify(conf) })
    const said = 'missingFamily: IPv6 is skipped on eth0, which has no IPv6 address: routes[2], routes[3]'
    const { stdout, exitCode } = await tool(['plan', ...at(pod), files.file('conf.json')])
    expect(exitCode).toBe(0)
    expect(stdout).toContain(`\nwarning: ${said}\n`)
    expect(diffOf(stdout)).toHaveLength(3)
    const told = JSON.parse((await tool(['plan', ...at(pod), '-o', 'json', files.file('conf.json')])).stdout)
    expect(told.warnings).toEqual([said])
    expect(JSON.stringify(told.result)).not.toContain('fd00:')
  })

  test('shows what KubeVirt would hand to a VM', async () => {
    const pod = await calicoPod()
    const told = JSON.parse((await tool(['plan', ...at(pod), '-o', 'json', VM])).stdout)
    expect(told.dhcp).toEqual({
      offer: {
        classlessRoutes: [
          { dst: '10.0.0.1/32', gw: '0.0.0.0' },
          { dst: '10.50.0.0/16', gw: '10.0.0.1' },
          { dst: '169.254.1.1/32', gw: '0.0.0.0' },
        ],
      },
      warnings: [],
    })
  })

  test('warns of what releases of KubeVirt, or clients, make of routes', async () => {
    const pod = await calicoPod()
    const routes = [
      { dst: '10.0.0.1/32', scope: 'link' },
      { dst: '10.60.0.0/16', gw: '10.0.0.1', src: '10.199.3.153' },
      { dst: '10.199.0.0/16', gw: '10.0.0.1' },
      { dst: '172.20.0.0/16', scope: 'link' },
    ]
    using files = scratch({
      'vm.json': JSON.stringify({ cniVersion: '1.0.0', name: 'vm', type: 'x-calico-route', kubevirt: true, routes }),
    })
    const told = JSON.parse((await tool(['plan', ...at(pod), '-o', 'json', files.file('vm.json')])).stdout)
    expect(told.dhcp.warnings).toEqual([
      expect.stringMatching(/^dhcpcd 9 makes routes to single addresses of 172\.20\.0\.0\/16; lead it through/),
      "KubeVirt 1.1 to 1.3 leave out 10.199.0.0/16, which the VM's address is in; write it in cloud-init",
      `KubeVirt 1.0 leaves out 10.60.0.0/16, whose source is the VM's address; remove "src"`,
    ])
  })

  test('warns of what a VM would make of the routes only where there may be one', async () => {
    const pod = await calicoPod()
    const machine = readFileSync(`${directory}/virtual-machine.yaml`, 'utf8')
    const network = readFileSync(UNDERLAY, 'utf8')
    using files = scratch({
      'with-vm.yaml': `${network}---\n${machine.replace('kube-system/calico-vm', 'kube-system/calico-underlay')}`,
      'other-vm.yaml': `${network}---\n${machine}`,
      'kubevirt.yaml': network.replace('"type": "x-calico-route",', '"type": "x-calico-route", "kubevirt": true,'),
    })
    const warning = 'warning: for a KubeVirt VM: DHCP clients that apply routes in order refuse 10.50.0.0/16'
    const said = async (file: string) => (await tool(['plan', ...at(pod), file])).stdout
    for (const name of ['with-vm.yaml', 'kubevirt.yaml']) expect(await said(files.file(name)), name).toContain(warning)
    for (const file of [UNDERLAY, files.file('other-vm.yaml')]) {
      const stdout = await said(file)
      expect(stdout).toMatch(/router \(option 3\): +169\.254\.1\.1\n/)
      expect(stdout).not.toMatch(/warning|the VM would/)
    }
  })

  test('takes a network without name by that of its definition, and what is null for absent', async () => {
    const pod = await calicoPod()
    using files = scratch({
      'nad.yaml': readFileSync(UNDERLAY, 'utf8').replace('"name": "k8s-pod-network",', '"comment": null,'),
      'null.json': JSON.stringify({
        ...{ cniVersion: '1.0.0', name: 'net', type: 'x-calico-route', ovnGateway: null, overrides: null, args: null },
        routes: [{ dst: '10.50.0.0/16', gw: null, mtu: null }],
      }),
      'multus.conf': JSON.stringify({
        ...{ cniVersion: '0.3.1', name: 'multus', type: 'multus' },
        delegates: [{ cniVersion: '0.3.1', name: 'inner', plugins: [{ type: 'calico' }, { type: 'x-calico-route' }] }],
      }),
    })
    expect(
      diffOf((await tool(['plan', ...at(pod), '--name', 'calico-underlay', files.file('nad.yaml')])).stdout),
    ).toHaveLength(6)
    expect(
      diffOf((await tool(['plan', ...at(pod), '--cni-args', '{"routes": null}', files.file('null.json')])).stdout),
    ).toHaveLength(3)
    expect(
      diffOf((await tool(['plan', ...at(pod), '--name', 'inner', files.file('multus.conf')])).stdout),
    ).toHaveLength(2)
  })

  test('takes what a pod would ask for, or shows its refusal', async () => {
    const pod = await calicoPod()
    const cniArgs = (dst: string) => [
      '--cni-args',
      JSON.stringify({ routes: [{ dst }] }),
      `${directory}/calico-per-pod.yaml`,
    ]
    expect(diffOf((await tool(['plan', ...at(pod), ...cniArgs('10.50.31.21/32')])).stdout)).toHaveLength(3)
    expect(await tool(['plan', ...at(pod), ...cniArgs('8.8.8.8/32')])).toEqual({
      exitCode: 1,
      stderr: '',
      stdout: `plugin type="x-calico-route" failed (add): args.cni.routes[0].dst: 8.8.8.8/32 is outside "overrides.within" (10.50.0.0/16)\nThe pod would be left as it is (code 120).\n`,
    })
  })

  test('reads what somebody saved of a pod, with names or numbers, as it reads the pod', async () => {
    const pod = await calicoPod()
    const save = async (...words: string[]) => (await execa('ip', ['-n', pod.netns, ...words])).stdout
    using files = scratch({
      numeric: await save('-json', '-details', '-Numeric', 'route', 'show', 'table', 'all'),
      named: await save('-json', 'route', 'show', 'table', 'all'),
      links: await save('-json', '-details', 'address', 'show'),
    })
    const { stdout } = await tool(['plan', ...at(pod), UNDERLAY])
    for (const saved of [['numeric', 'links'], ['named', 'links'], ['numeric']]) {
      const [table = '', links] = saved.map(files.file)
      const words = [
        'plan',
        '--ifname',
        'eth0',
        '--routes',
        table,
        ...(links === undefined ? [] : ['--links', links]),
        UNDERLAY,
      ]
      const answer = await tool(words)
      expect(diffOf(answer.stdout), saved.join()).toEqual(diffOf(stdout))
    }
  })

  test('reads one of its files from stdin', async () => {
    const pod = await calicoPod()
    const save = async (...words: string[]) => (await execa('ip', ['-n', pod.netns, ...words])).stdout
    const table = await save('-json', '-details', '-Numeric', 'route', 'show', 'table', 'all')
    const addresses = await save('-json', '-details', 'address', 'show')
    using files = scratch({ table, addresses })
    const { stdout } = await tool(['plan', ...at(pod), UNDERLAY])
    const saved = { '--routes': files.file('table'), '--links': files.file('addresses'), FILE: UNDERLAY }
    const inputs = { '--routes': table, '--links': addresses, FILE: readFileSync(UNDERLAY) }
    for (const name of ['--routes', '--links', 'FILE'] as const) {
      const named: Record<string, string> = { ...saved, [name]: '-' }
      const { '--routes': routes = '', '--links': links = '', FILE: file = '' } = named
      const words = ['plan', '--ifname', 'eth0', '--routes', routes, '--links', links, file]
      const answer = await tool(words, { input: inputs[name].toString() })
      expect({ diff: diffOf(answer.stdout), stderr: answer.stderr }, name).toEqual({ diff: diffOf(stdout), stderr: '' })
    }
    expect(await tool(['plan', '--ifname', 'eth0', '--routes', '-', UNDERLAY], { input: 'x' })).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: expect.stringMatching(/^x-calico-route plan: stdin: not what "ip -json .*" prints: /),
    })
  })

  test.each<[string, string[], RegExp]>([
    [
      'a pod that is gone',
      ['--netns', '/run/netns/gone', '--ifname', 'eth0', UNDERLAY],
      /^x-calico-route plan: --netns: cannot open the network namespace \/run\/netns\/gone; it does not exist: the pod is gone, or the path belongs to another node or container\n$/,
    ],
    [
      'a file that is no namespace',
      ['--netns', UNDERLAY, '--ifname', 'eth0', UNDERLAY],
      /--netns: not a network namespace: /,
    ],
    ['no interface', ['--netns', '/proc/self/ns/net', UNDERLAY], /--ifname: missing/],
    [
      'an interface that is not there',
      ['--netns', '/proc/self/ns/net', '--ifname', 'nope', UNDERLAY],
      /--ifname: the pod has no interface nope; it has lo/,
    ],
    ['no pod', ['--ifname', 'eth0', UNDERLAY], /--netns: missing; give it or --routes/],
    [
      'interfaces beside a namespace',
      ['--netns', '/proc/self/ns/net', '--links', UNDERLAY, '--ifname', 'eth0', UNDERLAY],
      /--links: needs --routes/,
    ],
    ['no file', ['--netns', '/proc/self/ns/net', '--ifname', 'eth0'], /exactly one FILE is needed/],
    [
      'a file that is not there',
      ['--netns', '/proc/self/ns/net', '--ifname', 'eth0', '/nope.yaml'],
      /\/nope\.yaml: no such file or directory/,
    ],
    [
      'a file of another kind',
      ['--netns', '/proc/self/ns/net', '--ifname', 'eth0', `${directory}/vpc.yaml`],
      /vpc\.yaml: no network configuration found, only Vpc/,
    ],
    [
      'a network the file has not',
      ['--netns', '/proc/self/ns/net', '--ifname', 'eth0', '--name', 'x', UNDERLAY],
      /network x not found; write one of these, which have x-calico-route: kube-system\/calico-underlay/,
    ],
    [
      'routes that are none',
      ['--routes', UNDERLAY, '--ifname', 'eth0', UNDERLAY],
      /calico-underlay\.yaml: not what "ip -json .*" prints/,
    ],
    [
      'cni-args that are no object',
      ['--netns', '/proc/self/ns/net', '--ifname', 'eth0', '--cni-args', '[', UNDERLAY],
      /--cni-args: must be a JSON object/,
    ],
    [
      'a verb it does not know',
      ['--netns', '/proc/self/ns/net', '--ifname', 'eth0', '--verb', 'GC', UNDERLAY],
      /--verb: must be ADD or DEL, is "GC"/,
    ],
  ])('says of %s what is wrong, and exits with 2', async (_, words, expected) => {
    const { stdout, stderr, exitCode } = await tool(['plan', ...words])
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: '', stderr: expect.stringMatching(expected), exitCode: 2 })
  })

  test('asks which of several networks is meant', async () => {
    using files = scratch({
      'two.json': JSON.stringify({
        cniVersion: '1.0.0',
        name: 'net',
        plugins: [{ type: 'calico' }, { type: 'x-calico-route' }, { type: 'x-calico-route' }],
      }),
    })
    const { stderr, exitCode } = await tool([
      'plan',
      '--netns',
      '/proc/self/ns/net',
      '--ifname',
      'lo',
      files.file('two.json'),
    ])
    expect({ stderr, exitCode }).toEqual({
      stderr: expect.stringContaining('found 2 entries of x-calico-route; choose one with --name: net'),
      exitCode: 2,
    })
  })
})
