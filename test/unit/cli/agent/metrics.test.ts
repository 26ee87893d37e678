import { describe, expect, test } from 'vitest'
import { metricsOf } from '../../../../src/cli/agent/metrics.ts'
import { type AgentState, lacking } from '../../../../src/cli/agent/state.ts'
import { type Metric, parseExposition } from '../../../support/exposition.ts'

const attachment = (network: string, state: AgentState['pods']['attachments'][number]['state'], differences = 0) => ({
  network,
  state,
  differences,
})

const STATE: AgentState = {
  version: '0.1.0+abc',
  plugin: { inPlace: true, version: '0.1.0+def', installs: 2 },
  sets: {
    read: true,
    sets: [
      { name: 'underlay', isSet: true, prefixes: 12, changed: 1_800_000_000 },
      { name: 'storage', isSet: true, problem: '/sets/storage:1: is wrong' },
      { name: 'README.md', isSet: false, problem: 'is not the name of a set' },
    ],
  },
  pods: {
    look: { at: 1_800_000_060.5, took: 0.25 },
    sets: ['storage'],
    attachments: [
      attachment('k8s-pod-network', 'ok'),
      attachment('k8s-pod-network', 'ok'),
      attachment('k8s-pod-network', 'differs', 3),
      attachment('vpc-net', 'gone'),
    ],
    unreadable: 1,
    repairs: { repaired: 4, busy: 1 },
    heldBack: 1,
  },
  troubles: { plugin: 0, sets: 5, pods: 0, metrics: 2 },
}

async function told(state: AgentState): Promise<ReadonlyMap<string, Metric>> {
  return new Map(parseExposition(await metricsOf(state)).map((metric) => [metric.name, metric]))
}

const samplesOf = async (state: AgentState) =>
  Object.fromEntries(
    [...(await told(state)).values()].flatMap(({ name, samples }) =>
      samples.map(({ labels, value }) => [
        `${name.replace('x_calico_route_', '')}${Object.entries(labels)
          .map(([key, text]) => ` ${key}=${text}`)
          .join('')}`,
        value,
      ]),
    ),
  )

describe('the metrics', () => {
  test('say all that the agent knows', async () => {
    expect(await samplesOf(STATE)).toEqual({
      'agent_info version=0.1.0+abc': 1,
      'plugin_info version=0.1.0+def': 1,
      ready: 0,
      plugin_in_place: 1,
      plugin_reinstalls_total: 2,
      'agent_troubles_total part=plugin': 0,
      'agent_troubles_total part=sets': 5,
      'agent_troubles_total part=pods': 0,
      'agent_troubles_total part=metrics': 2,
      'set_prefixes set=underlay': 12,
      'set_last_change_timestamp_seconds set=underlay': 1_800_000_000,
      sets_refused: 2,
      'attachments network=k8s-pod-network state=ok': 2,
      'attachments network=k8s-pod-network state=differs': 1,
      'attachments network=k8s-pod-network state=gone': 0,
      'attachments network=k8s-pod-network state=unknown': 0,
      'attachments network=k8s-pod-network state=error': 0,
      'attachments network=vpc-net state=ok': 0,
      'attachments network=vpc-net state=differs': 0,
      'attachments network=vpc-net state=gone': 1,
      'attachments network=vpc-net state=unknown': 0,
      'attachments network=vpc-net state=error': 0,
      'differences network=k8s-pod-network': 3,
      'differences network=vpc-net': 0,
      unreadable_cache_entries: 1,
      'repairs_total outcome=ok': 0,
      'repairs_total outcome=repaired': 4,
      'repairs_total outcome=differs': 0,
      'repairs_total outcome=busy': 1,
      'repairs_total outcome=gone': 0,
      'repairs_total outcome=unknown': 0,
      'repairs_total outcome=error': 0,
      pods_held_back: 1,
      last_look_timestamp_seconds: 1_800_000_060.5,
      last_look_duration_seconds: 0.25,
    })
  })

  test('say nothing of what is not known yet', async () => {
    const { sets: _, ...rest } = STATE
    const { look: __, ...pods } = STATE.pods
    const young = { ...rest, plugin: { inPlace: false, installs: 0 }, pods: { ...pods, attachments: [] } }
    expect([...(await told(young)).keys()].map((name) => name.replace('x_calico_route_', '')).sort()).toEqual([
      'agent_info',
      'agent_troubles_total',
      'plugin_in_place',
      'plugin_reinstalls_total',
      'pods_held_back',
      'ready',
      'repairs_total',
      'unreadable_cache_entries',
    ])
  })

  test('have names as Prometheus wants them: a prefix, base units, and what kind of metric it is at the end', async () => {
    const metrics = [...(await told(STATE)).values()]
    expect(metrics.length).toBeGreaterThan(15)
    for (const { name, type, help, samples } of metrics) {
      expect(name).toMatch(/^x_calico_route(_[a-z]+)+$/)
      expect({ name, type }).toEqual({ name, type: name.endsWith('_total') ? 'counter' : 'gauge' })
      expect(name).not.toMatch(/_(milli|micro|minutes|hours|ms|kb|count|counter|gauge)(_|$)/)
      if (/_(timestamp|time|duration|age)(_|$)/.test(name)) expect(name).toMatch(/_seconds$/)
      if (name.endsWith('_info')) for (const { value } of samples) expect(value).toBe(1)
      else for (const { labels } of samples) expect(labels).not.toHaveProperty('version')
      expect(help).toMatch(/^[A-Z].*\.$/)
    }
  })

  test('have no text of a tenant in a label: the name of a network only if it is one', async () => {
    const evil = ['x"} 1\nforged 1', '', '-', 'ä', '__proto__', 'x'.repeat(129), '\\']
    const state = {
      ...STATE,
      pods: { ...STATE.pods, attachments: [...evil, 'constructor'].map((name) => attachment(name, 'ok')) },
    }
    const samples = (await told(state)).get('x_calico_route_differences')?.samples
    expect(samples?.map(({ labels }) => labels.network).sort()).toEqual(['constructor', 'other'])
    expect(await samplesOf(state)).toMatchObject({ 'attachments network=other state=ok': evil.length })
  })

  test('have at most a hundred networks, and the others together', async () => {
    const names = Array.from({ length: 250 }, (_, i) => `net-${i}`)
    const state = {
      ...STATE,
      pods: { ...STATE.pods, attachments: names.map((name) => attachment(name, 'differs', 2)) },
    }
    const samples = (await told(state)).get('x_calico_route_differences')?.samples ?? []
    expect(samples).toHaveLength(101)
    expect(samples.find(({ labels }) => labels.network === 'other')?.value).toBe(300)
  })

  test('have at most a hundred sets', async () => {
    const sets = Array.from({ length: 250 }, (_, i) => ({ name: `set-${i}`, isSet: true, prefixes: 1 }))
    expect(
      (await told({ ...STATE, sets: { read: true, sets } })).get('x_calico_route_set_prefixes')?.samples,
    ).toHaveLength(100)
  })
})

describe('a node is ready', () => {
  const sets = (...all: { prefixes?: number }[]) => ({
    read: true,
    sets: all.map((one) => ({ name: 'one', isSet: true, problem: 'something', ...one })),
  })
  const inPlace = { inPlace: true, installs: 0 }
  const of = (state: Partial<Parameters<typeof lacking>[0]>) =>
    lacking({ plugin: inPlace, pods: { sets: ['one'] }, ...state })
  test.each<[string, Partial<Parameters<typeof lacking>[0]>, string[]]>([
    ['with the plugin in place, and no sets to copy', {}, []],
    ['with all sets', { sets: sets({ prefixes: 3 }, { prefixes: 0 }) }, []],
    ['with an older good version of a set that is wrong now', { sets: sets({ prefixes: 3 }) }, []],
    ['with a set that has no good version, if no attachment names it', { sets: sets({}), pods: { sets: ['two'] } }, []],
    ['with a set that has no good version, if nobody has looked who names it', { sets: sets({}), pods: {} }, []],
    ['not without the plugin', { plugin: { inPlace: false, installs: 0, why: 'it is gone' } }, ['it is gone']],
    [
      'not without a good version of a set that an attachment names',
      { sets: sets({}) },
      ['set one: the node has no good version of it'],
    ],
    ['not before the sets were read', { sets: { read: false, sets: [] } }, ['the sets have not been read yet']],
  ])('%s', (_, state, expected) => {
    expect(of(state)).toEqual(expected)
  })

  test('whatever the pods are like', async () => {
    const state = { ...STATE, sets: sets({ prefixes: 1 }) }
    expect(await samplesOf({ ...state, pods: { ...state.pods, unreadable: 1000, heldBack: 50 } })).toMatchObject({
      ready: 1,
    })
  })
})

describe('the parser of these tests', () => {
  const head = '# HELP a b.\n# TYPE a gauge\n'
  test.each([
    ['a 1\n', 'without its type'],
    [`${head}a 1`, 'does not end'],
    [`${head}b 1\n`, 'without its type'],
    [`${head}a{x="1",x="2"} 1\n`, 'a label twice'],
    [`${head}a{x="1"} 1\na{x="1"} 2\n`, 'a series twice'],
    [`${head}a{x="\\y"} 1\n`, 'not a sample'],
    [`${head}a{x=1} 1\n`, 'not a sample'],
    [`${head}a one\n`, 'not a sample'],
    [`${head}a 1 extra\n`, 'not a sample'],
    [head, 'no sample'],
    [`${head}a 1\n${head}a 1\n`, 'a second time'],
  ])('refuses %j', (text, expected) => {
    expect(() => parseExposition(text)).toThrow(expected)
  })
})
