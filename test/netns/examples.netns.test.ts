import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Pod } from '../support/calico.ts'
import { configurations, EXAMPLES, type NetConf, placesOf } from '../support/examples.ts'
import { defaultSubnetNic, type Nic, ptpNic } from '../support/more-nics.ts'
import { configure, removeNamespaces, routes } from '../support/netns.ts'
import { attachCalico, attachOvn, defaults, type Site, site } from '../support/ovn-nic.ts'
import { calicoResult, inVersion } from '../support/results.ts'
import { type CniResult, type CniVersion, environment, run } from '../support/runtime.ts'
import { add, check, del } from '../support/verbs.ts'

let scratch = ''
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'xcr-examples-'))
  writeFileSync(join(scratch, 'underlay'), UNDERLAY.map((dst) => `${dst}\n`).join(''))
})
afterEach(removeNamespaces)
afterEach(() => rmSync(scratch, { recursive: true, force: true }))

interface Attached {
  readonly nic: Pod
  readonly prevResult: (cniVersion: CniVersion) => CniResult
}

const calico = async (pod: Site): Promise<Attached> => {
  const nic = await attachCalico(pod)
  return { nic, prevResult: (cniVersion) => calicoResult(nic, { cniVersion }) }
}
const kubeOvn = async (pod: Site, options: { ifname?: string; defaultRoute?: boolean } = {}): Promise<Attached> =>
  attached(await attachOvn(pod, options))

const attached = (nic: Nic): Attached => ({ nic, prevResult: (cniVersion) => inVersion(nic.result, cniVersion) })

/** Runs the chain of another example on its NIC, as the runtime would have done before. */
async function runBefore(file: string, { nic, prevResult }: Attached): Promise<void> {
  for (const conf of configurations(file)) {
    await add(nic, { ...conf, cniVersion: '1.0.0', prevResult: prevResult('1.0.0') })
  }
}

/** The set that examples name. */
const UNDERLAY = ['10.50.0.0/16', 'fd00:10:50::/64']

const ON_OVN = ['default via 10.0.1.1 dev net1', 'default via fd00:10:0:1::1 dev net1 metric 1024']

/** For each example that configures this plugin: the pod it is for, and the default routes the pod has then. */
const PODS: Record<string, { attach: (pod: Site) => Promise<Attached>; leaves: (string | RegExp)[] }> = {
  'calico-underlay.yaml': { attach: calico, leaves: [] },
  'calico-answers.yaml': { attach: calico, leaves: [] },
  'calico-set.yaml': { attach: calico, leaves: [] },
  'calico-vm.yaml': { attach: calico, leaves: [] },
  'calico-vm-masquerade.yaml': { attach: calico, leaves: [] },
  'canal-underlay.yaml': { attach: calico, leaves: [] },
  'calico-per-pod.yaml': { attach: calico, leaves: [] },
  'calico.conflist': { attach: calico, leaves: [] },
  'by-hand.json': { attach: calico, leaves: [] },
  'ptp-services.conflist': { attach: async (pod) => attached(await ptpNic(pod, 'eth0')), leaves: [] },
  'kube-ovn-vpc.yaml': {
    attach: async (pod) => {
      await runBefore('calico-underlay.yaml', await calico(pod))
      return kubeOvn(pod)
    },
    leaves: ON_OVN,
  },
  'kube-ovn-first.yaml': {
    attach: kubeOvn,
    leaves: [
      /^default via 10\.0\.1\.1 dev net1 proto 144 metric 40\d+$/,
      /^default via fd00:10:0:1::1 dev net1 proto 144 metric 40\d+$/,
    ],
  },
  'calico-second.yaml': {
    attach: async (pod) => {
      await runBefore('kube-ovn-first.yaml', await kubeOvn(pod))
      return calico(pod)
    },
    leaves: ['default via 10.0.1.1 dev net1 proto 145', 'default via fd00:10:0:1::1 dev net1 proto 145 metric 1024'],
  },
  'vpc-nat-gateway.yaml': {
    attach: async (pod) => {
      const eth0 = await kubeOvn(pod, { ifname: 'eth0' })
      // the macvlan NIC, whose default route stands beside eth0's
      await configure(
        pod.underlay,
        `link add outside type veth peer name net1 netns ${pod.netns}\nlink set outside up\naddr add 172.16.3.2/24 dev outside`,
      )
      await configure(
        pod.netns,
        'link set net1 up\naddr add 172.16.3.101/24 dev net1\nroute append default via 172.16.3.2 dev net1',
      )
      return eth0
    },
    leaves: ['default via 172.16.3.2 dev net1'],
  },
  'vpc-dns.yaml': {
    attach: async (pod) => {
      await kubeOvn(pod, { ifname: 'eth0' })
      return attached(await defaultSubnetNic(pod, 'net1'))
    },
    leaves: ['default via 10.0.1.1 dev eth0', 'default via fd00:10:0:1::1 dev eth0 metric 1024'],
  },
  'all-keys.json': {
    attach: async (pod) => {
      await kubeOvn(pod, { defaultRoute: false })
      return calico(pod)
    },
    leaves: [
      'default via 10.0.1.1 dev net1 proto 143 metric 100',
      'default via fd00:10:0:1::1 dev net1 proto 143 metric 100',
    ],
  },
}

const RUNNABLE = EXAMPLES.filter((file) => placesOf(file).length > 0)

describe('an example, in a pod as it is for', () => {
  test('is each one that configures this plugin', () => {
    expect(Object.keys(PODS).sort()).toEqual(RUNNABLE.sort())
  })

  const expected = (conf: NetConf) =>
    (conf.routes ?? []) as { dst: string; set?: string; table?: number; scope?: string }[]
  const expanded = (entry: ReturnType<typeof expected>[number]) =>
    entry.set === undefined ? [entry] : UNDERLAY.map((dst) => ({ ...entry, dst }))

  test.each(RUNNABLE.flatMap((file) => configurations(file).map((conf) => ({ file, conf }))))(
    '$file gives what it says, passes CHECK and is taken back by DEL',
    async ({ file, conf }) => {
      await using pod = await site()
      const wanted = PODS[file]
      if (!wanted) throw new Error(`no pod for ${file}`)
      const { nic, prevResult } = await wanted.attach(pod)
      const before = await routes(pod.netns)
      const cniVersion = conf.cniVersion as CniVersion
      // What an example names that is not the pod's: the node's directories.
      const logFile = conf.logFile === undefined ? {} : { logFile: join(scratch, 'x.log') }
      const config = {
        ...conf,
        ...logFile,
        setsDir: scratch,
        cniVersion,
        prevResult: conf.prevResult ?? prevResult(cniVersion),
      }

      const result = await add(nic, config)
      for (const { dst, table } of expected(conf).flatMap(expanded)) {
        const seen = await routes(pod.netns, table === undefined ? 'main' : String(table))
        expect(seen).toContainEqual(expect.stringMatching(`^${dst.replace('/32', '')} .*proto 142`))
      }
      expect(await defaults(pod.netns)).toEqual(
        wanted.leaves.map((line) => (typeof line === 'string' ? line : expect.stringMatching(line))),
      )

      expect(await add(nic, config)).toEqual(result)
      if (cniVersion === '1.0.0' || cniVersion === '1.1.0') await check(nic, { ...config, prevResult: result })
      await del(nic, config)
      const left = await routes(pod.netns)
      expect(left.filter((route) => route.includes('proto 142') && !before.includes(route))).toEqual([])
    },
  )

  test('calico-set.yaml serves a pod with IPv4 alone, too', async () => {
    await using pod = await site({ families: [4] })
    const nic = await attachCalico(pod)
    const [conf] = configurations('calico-set.yaml')
    const config = { ...conf, setsDir: scratch, cniVersion: '1.0.0' as const, prevResult: calicoResult(nic) }
    const { exitCode, stdout, stderr } = await run(environment('ADD', nic), config)
    expect({ exitCode, stderr }, stdout).toEqual({
      exitCode: 0,
      stderr: expect.stringContaining('which has no IPv6 address: routes[0] (underlay), routes[2]"'),
    })
    const ours = (await routes(pod.netns)).filter((route) => route.includes('proto 142'))
    expect(ours.map((route) => route.split(' ')[0]).sort()).toEqual(['10.199.0.0/16', '10.50.0.0/16'])
    await check(nic, { ...config, prevResult: JSON.parse(stdout) })
  })
})
