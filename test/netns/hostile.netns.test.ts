/**
 * Who has CAP_NET_ADMIN in a pod decides what the pod holds. Each call is in a control group of 64 MiB, as the plugins of a node
 * are in one of Multus; none is killed, each is answered, and DEL succeeds and leaves nothing that is ours.
 */
import { execa } from 'execa'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { type Cgroup, createCgroup } from '../../scripts/bench/cgroup.ts'
import { CALICO, type CalicoPod, calicoPod } from '../support/calico.ts'
import { removeNamespaces, routes } from '../support/netns.ts'
import { calicoResult } from '../support/results.ts'
import { type Answer, environment, run, type Verb } from '../support/runtime.ts'
import { hostWhereIpIs } from '../support/tools.ts'

afterEach(removeNamespaces)

const why = hindrance()
if (why !== undefined) console.warn(`Calls are not in a control group, since none can be made here: ${why}`)
const cgroup: Cgroup | undefined = why === undefined ? createCgroup({ memoryMiB: 64 }) : undefined
afterAll(() => cgroup?.remove())

function hindrance(): string | undefined {
  try {
    createCgroup({ memoryMiB: 64 }).remove()
    return undefined
  } catch (error) {
    return String(error)
  }
}

const inGroup = cgroup
  ? ['sh', '-c', `for group in ${cgroup.procs.join(' ')}; do echo $$ >$group; done; exec "$@"`, 'sh']
  : []

/** As by a tenant; too much for a command line. */
const configure = (netns: string, batch: string) => execa('ip', ['-n', netns, '-batch', '-'], { input: `${batch}\n` })

const ROUTES = [{ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/64' }]

async function call(verb: Verb, pod: CalicoPod, prevResult: unknown = calicoResult(pod)): Promise<Answer> {
  const started = Date.now()
  const answer = await run(environment(verb, pod), { routes: ROUTES, prevResult }, inGroup)
  // No more than the call may take at the very most, on however busy a machine.
  expect(Date.now() - started).toBeLessThan(60_000)
  return answer
}

const ours = async (pod: CalicoPod) => (await routes(pod.netns)).filter((one) => one.includes('proto 142'))

/** `172.16.0.0` and so on. */
const host = (i: number) => `172.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`
const many = (count: number, line: (i: number) => string) => Array.from({ length: count }, (_, i) => line(i)).join('\n')
const VIA = `via ${CALICO[4]} dev eth0`

const GROUP = [
  many(125, (i) => `nexthop add id ${1000 + i} ${VIA}`),
  `nexthop add id 1 group ${many(125, (i) => String(1000 + i)).replaceAll('\n', '/')}`,
].join('\n')

describe('where the pod holds', () => {
  test.each([
    {
      what: 'thousands of routes by a group of 125 next hops',
      batch: `${GROUP}\n${many(4000, (i) => `route add ${host(i)} nhid 1`)}`,
    },
    { what: '100,000 routes of others', batch: many(100_000, (i) => `route add ${host(i)} ${VIA} proto static`) },
  ])('$what, ADD, CHECK and DEL do what they do in others', { timeout: 240_000 }, async ({ batch }) => {
    const pod = await calicoPod()
    await configure(pod.netns, batch)
    const added = await call('ADD', pod)
    expect(added).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await ours(pod)).toEqual([
      `10.50.0.0/16 via ${CALICO[4]} dev eth0 proto 142`,
      `fd00:10:50::/64 via ${CALICO[6]} dev eth0 proto 142 metric 1024`,
    ])
    expect(await call('CHECK', pod, JSON.parse(added.stdout))).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(await call('DEL', pod)).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(await ours(pod)).toEqual([])
  })

  test('100,000 routes of our protocol number, ADD takes no notice, and DEL has the kernel take them all away', async () => {
    const pod = await calicoPod()
    await configure(
      pod.netns,
      many(100_000, (i) => `route add ${host(i)} ${VIA} proto 142`),
    )
    expect(await call('ADD', pod)).toMatchObject({ exitCode: 0 })
    const { exitCode, stderr } = await call('DEL', pod)
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: expect.stringContaining("the pod's routes could not be read: ip: the pod has more than 2004 routes"),
    })
    expect(await ours(pod)).toEqual([])
  })

  test.each([
    { what: 'demoted', line: (i: number) => `route add default ${VIA} proto 144 metric ${0xf0000000 + i}` },
    { what: 'ordinary', line: (i: number) => `route add default ${VIA} metric ${1 + i}` },
  ])('thousands of $what default routes, ADD refuses, and DEL leaves them and takes ours', async ({ line }) => {
    const pod = await calicoPod()
    expect(await call('ADD', pod)).toMatchObject({ exitCode: 0 })
    await configure(pod.netns, many(4000, line))
    const refused = await call('ADD', pod)
    expect(refused.exitCode).toBe(1)
    expect(refused.stdout).toContain('the pod has too many default routes')
    expect((await call('CHECK', pod)).stdout).toContain('the pod has too many default routes')
    const { exitCode, stderr } = await call('DEL', pod)
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: expect.stringContaining('default routes are unchanged'),
    })
    expect(await ours(pod)).toEqual([])
    expect((await routes(pod.netns)).filter((one) => one.startsWith('default')).length).toBeGreaterThanOrEqual(4000)
  })

  test.each([
    { whose: 'of others', proto: 'static' },
    { whose: 'of our protocol number', proto: '142' },
  ])(
    'a route $whose with more next hops than the kernel can show, ADD says so, and DEL takes ours',
    async ({ proto }) => {
      const pod = await calicoPod()
      expect(await call('ADD', pod)).toMatchObject({ exitCode: 0 })
      const hops = many(250, (i) => `nexthop ${VIA} weight ${1 + (i % 200)}`).split(/\s/)
      await execa('ip', ['-n', pod.netns, 'route', 'add', '10.70.0.0/16', 'proto', proto, ...hops])
      for (const verb of ['ADD', 'CHECK'] as const) {
        const { exitCode, stdout } = await call(verb, pod)
        expect({ exitCode, ...JSON.parse(stdout) }).toMatchObject({
          exitCode: 1,
          code: 100,
          msg: expect.stringMatching(/^ip: the kernel cannot show the pod's routes: one has too many next hops; /),
        })
      }
      const { exitCode, stderr } = await call('DEL', pod)
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining('too many next hops') })
      await configure(pod.netns, 'route del 10.70.0.0/16')
      expect(await ours(pod)).toEqual([])
    },
  )

  test('thousands of addresses, ADD says so, and DEL takes ours', async () => {
    const pod = await calicoPod()
    expect(await call('ADD', pod)).toMatchObject({ exitCode: 0 })
    await configure(pod.netns, `link add br0 type bridge\n${many(6000, (i) => `address add ${host(i)}/32 dev br0`)}`)
    const { exitCode, stdout } = await call('ADD', pod)
    expect({ exitCode, ...JSON.parse(stdout) }).toMatchObject({
      exitCode: 1,
      code: 100,
      msg: expect.stringMatching(/^ip: the pod has more than 2000 interfaces and addresses; /),
    })
    expect(await call('DEL', pod)).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(await ours(pod)).toEqual([])
  })

  test('thousands of routes to a configured destination, ADD says so, and DEL takes ours', async () => {
    const pod = await calicoPod()
    expect(await call('ADD', pod)).toMatchObject({ exitCode: 0 })
    await configure(
      pod.netns,
      many(6000, (i) => `route add 10.50.0.0/16 ${VIA} metric ${1 + i}`),
    )
    const { exitCode, stdout } = await call('ADD', pod)
    expect({ exitCode, ...JSON.parse(stdout) }).toMatchObject({
      exitCode: 1,
      code: 100,
      msg: expect.stringMatching(/^ip: the pod has more than 2004 routes that matter to this configuration; /),
    })
    expect(await call('DEL', pod)).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(await ours(pod)).toEqual([])
  })
})

describe('with sourceRouting, where the pod holds', () => {
  const callAs = async (verb: Verb, pod: CalicoPod, prevResult: unknown = calicoResult(pod)): Promise<Answer> => {
    const started = Date.now()
    const answer = await run(
      environment(verb, pod),
      { routes: ROUTES, sourceRouting: { table: 100 }, prevResult },
      inGroup,
    )
    expect(Date.now() - started).toBeLessThan(60_000)
    return answer
  }
  /** Those of our protocol number, of both families. */
  const ourRules = async ({ netns }: CalicoPod) => {
    const show = (family: string) => execa('ip', ['-n', netns, family, '-d', '-N', 'rule', 'show'])
    const answers = await Promise.all(['-4', '-6'].map(show))
    return answers.flatMap(({ stdout }) => stdout.split('\n').filter((line) => / proto 142 *$/.test(line)))
  }
  const rules = (count: number, words: string) =>
    many(count, (i) => `rule add from ${host(i)} priority ${50_000 - i} ${words}`)

  test('30,000 rules of others, ADD, CHECK and DEL do what they do in others', { timeout: 240_000 }, async () => {
    const pod = await calicoPod()
    await configure(pod.netns, rules(30_000, 'table 7 protocol static'))
    const added = await callAs('ADD', pod)
    expect(added).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await ourRules(pod)).toHaveLength(2)
    expect(await callAs('CHECK', pod, JSON.parse(added.stdout))).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(await callAs('DEL', pod)).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(await ourRules(pod)).toEqual([])
    expect(await ours(pod)).toEqual([])
  })

  test('30,000 rules that look like ours, ADD and CHECK say so, and DEL has the kernel take them all away', {
    timeout: 240_000,
  }, async () => {
    const pod = await calicoPod()
    expect(await callAs('ADD', pod)).toMatchObject({ exitCode: 0 })
    await configure(pod.netns, rules(30_000, 'table 100 protocol 142'))
    for (const verb of ['ADD', 'CHECK'] as const)
      expect(JSON.parse((await callAs(verb, pod)).stdout)).toMatchObject({
        code: 100,
        msg: expect.stringMatching(/^ip: the pod has more than 2000 rules; somebody with CAP_NET_ADMIN /),
      })
    const { exitCode, stderr } = await callAs('DEL', pod)
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringContaining('more than 2000 rules') })
    expect(await ourRules(pod)).toEqual([])
    expect(await ours(pod)).toEqual([])
  })

  test('rules by interfaces with odd names, ADD and DEL leave them alone', async () => {
    const pod = await calicoPod()
    for (const iif of ['a"b', "a'b", 'a#b', 'a\\b', 'a\u0001b'])
      await execa('ip', ['-n', pod.netns, ...`rule add from 10.7.0.1 iif ${iif} table 100 protocol 142`.split(' ')])
    await configure(pod.netns, 'route add 10.8.0.0/16 dev eth0 table 100 proto 142')
    expect(await callAs('ADD', pod)).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await callAs('DEL', pod)).toMatchObject({ exitCode: 0, stderr: '' })
    // What could not be written again is not ours.
    expect(await ourRules(pod)).toHaveLength(4)
    expect(await ours(pod)).toEqual([])
  })
})

test('where ip(8) talks without end, ADD and DEL end in time', { timeout: 120_000 }, async () => {
  const pod = await calicoPod()
  const route =
    '{"type":"1","dst":"172.16.0.1","gateway":"169.254.1.1","dev":"eth0","protocol":"3","scope":"0","flags":[]}'
  using host = hostWhereIpIs(`printf '[${route}'; exec yes ',${route}' | tr -d '\\n'`)
  const config = { routes: ROUTES, prevResult: calicoResult(pod) }
  const [added, deleted] = await Promise.all([
    run(environment('ADD', pod), config, [...inGroup, ...host.via]),
    run(environment('DEL', pod), config, [...inGroup, ...host.via]),
  ])
  expect(JSON.parse(added.stdout)).toMatchObject({
    code: 100,
    msg: expect.stringMatching(/^ip: the pod holds more than can be read in time; /),
  })
  expect(deleted).toMatchObject({
    exitCode: 0,
    stderr: expect.stringContaining("the pod's routes could not be read: ip: "),
  })
})

test('none of these calls was killed for want of memory', () => {
  expect(cgroup?.kills() ?? 0).toBe(0)
})

test('where somebody appended a route to one of ours, an ADD that fails leaves both in their order', async () => {
  const pod = await calicoPod({ families: [4] })
  const twins = ['10.199.9.1', '10.199.9.2'].map((gw) => `10.50.0.0/16 via ${gw} dev eth0 onlink proto 142`)
  await configure(
    pod.netns,
    many(2, (i) => `route append ${twins[i]}`),
  )
  const answer = await run(environment('ADD', pod), {
    // The kernel refuses the second one, when the first of the twins has been replaced: its gateway is not on-link.
    routes: [{ dst: '10.50.0.0/16' }, { dst: '10.99.0.0/16', gw: '192.0.2.1' }],
    prevResult: calicoResult(pod),
  })
  expect(JSON.parse(answer.stdout)).toMatchObject({
    code: 100,
    details: expect.stringMatching(/route prepend .*; the pod's routes are unchanged$/),
  })
  expect((await routes(pod.netns)).filter((one) => one.startsWith('10.50.'))).toEqual([
    '10.50.0.0/16 via 10.199.9.1 dev eth0 proto 142 onlink',
    '10.50.0.0/16 via 10.199.9.2 dev eth0 proto 142 onlink',
  ])
})
