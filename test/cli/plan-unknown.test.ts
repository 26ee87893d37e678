import { execa } from 'execa'
import { afterEach, describe, expect, test } from 'vitest'
import { calicoPod } from '../support/calico.ts'
import { directory } from '../support/examples.ts'
import { configure, removeNamespaces } from '../support/netns.ts'
import { ovnNic } from '../support/ovn.ts'
import { scratch, tool } from './tool.ts'

afterEach(removeNamespaces)

const VPC = `${directory}/kube-ovn-vpc.yaml`
const UNKNOWN =
  'ovnGateway: the gateway that the previous plugin may report is unknown here, so "auto" may do otherwise; add "prevResult" to the entry of x-calico-route'

const list = (first: object, ours: object) =>
  JSON.stringify({ cniVersion: '1.0.0', name: 'net', plugins: [first, { type: 'x-calico-route', ...ours }] })

describe('x-calico-route plan, without a prevResult,', () => {
  test('takes the prefix lengths of the addresses from the pod', async () => {
    const pod = await calicoPod()
    const { netns, path } = await ovnNic(pod)
    // A subnet that the address of the other NIC is in.
    await configure(netns, 'addr add 10.199.3.150/24 dev net1')
    const save = async (...words: string[]) => (await execa('ip', ['-n', netns, '-json', '-details', ...words])).stdout
    using files = scratch({
      routes: await save('-Numeric', 'route', 'show', 'table', 'all'),
      links: await save('address', 'show'),
    })
    const saved = ['--routes', files.file('routes')]
    for (const where of [['--netns', path], saved, [...saved, '--links', files.file('links')]]) {
      const addresses = async (ifname: string, file: string) => {
        const { stdout } = await tool(['plan', ...where, '--ifname', ifname, '-o', 'json', file])
        return JSON.parse(stdout).result.ips.map(({ address }: { address: string }) => address)
      }
      expect(await addresses('net1', VPC)).toEqual(['10.0.1.11/24', '10.199.3.150/24', 'fd00:10:0:1::11/64'])
      expect(await addresses('eth0', `${directory}/calico-underlay.yaml`)).toEqual([
        '10.199.3.153/32',
        'fd00:10:199::153/128',
      ])
    }
  })

  test('warns that "auto" depends on what Kube-OVN reports', async () => {
    const pod = await calicoPod()
    const { path } = await ovnNic(pod)
    const plan = (file: string, ifname = 'net1') => tool(['plan', '--netns', path, '--ifname', ifname, file])
    expect((await plan(VPC)).stdout).toContain(`\nwarning: ${UNKNOWN}\n`)
    const ovn = { type: 'kube-ovn' }
    const gateway = { ips: [{ address: '10.0.1.11/24', gateway: '10.0.1.1' }], cniVersion: '1.0.0' }
    using files = scratch({
      'reported.json': list(ovn, {
        ovnGateway: 'auto',
        prevResult: { ...gateway, ips: [{ address: '10.0.1.11/24' }] },
      }),
      'named.json': list(ovn, { ovnGateway: { ipv4: '10.0.1.1', priority: 50 } }),
      'elsewhere.json': list(ovn, { ovnGateway: { ipv4: 'auto', dev: 'eth0' } }),
      'none.json': list(ovn, {}),
      'calico.json': list({ type: 'calico' }, { ovnGateway: 'auto', defaultRoute: 'keep' }),
      'reported.gateway.json': list(ovn, { ovnGateway: 'auto', prevResult: gateway }),
    })
    for (const name of ['reported.json', 'named.json', 'elsewhere.json', 'none.json']) {
      const { stdout, exitCode } = await plan(files.file(name))
      expect({ name, exitCode, warned: stdout.includes('unknown here') }).toEqual({ name, exitCode: 0, warned: false })
    }
    expect((await plan(files.file('calico.json'), 'eth0')).stdout).not.toContain('unknown here')
    // What ADD then says: the default route of Calico is in the way.
    expect((await plan(files.file('reported.gateway.json'))).stdout).toContain('another default route with the same')
  })

  test('adds it to a refusal', async () => {
    const pod = await calicoPod()
    const { path } = await ovnNic(pod)
    await configure(pod.netns, 'route del default\nroute del ::/0')
    const { stdout, exitCode } = await tool(['plan', '--netns', path, '--ifname', 'net1', VPC])
    expect({ stdout, exitCode }).toEqual({ stdout: expect.stringContaining(`; ${UNKNOWN}\n`), exitCode: 1 })
  })
})

test('a namespace given by its name alone is answered with its path', async () => {
  const { netns } = await calicoPod()
  for (const [command, ...more] of [
    ['plan', VPC],
    ['verify', VPC],
  ]) {
    const said = (name: string) => tool([command ?? '', '--netns', name, '--ifname', 'eth0', ...more])
    expect((await said(netns)).stderr).toBe(
      `x-calico-route ${command}: --netns: cannot open the network namespace ${netns}; it is not a path; write /run/netns/${netns}\n`,
    )
    expect((await said('nobody')).stderr).toContain('it does not exist: the pod is gone, ')
  }
})
