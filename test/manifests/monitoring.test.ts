import { readFileSync } from 'node:fs'
import { parser } from '@prometheus-io/lezer-promql'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { metricsOf } from '../../src/cli/agent/metrics.ts'
import { STATES } from '../../src/cli/look-at-pod.ts'
import { parseExposition } from '../support/exposition.ts'

const read = (file: string) => readFileSync(new URL(`../../conf-examples/monitoring/${file}`, import.meta.url), 'utf8')

interface Rule {
  alert: string
  expr: string
  for: string
  labels: Record<string, string>
  annotations: Record<string, string>
}
const rules: Rule[] = parse(read('prometheusrule.yaml')).spec.groups.flatMap((group: { rules: Rule[] }) => group.rules)

interface Panel {
  title: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets: { expr: string }[]
}
const dashboard = JSON.parse(parse(read('dashboard.yaml')).data['x-calico-route.json'])
const panels: Panel[] = dashboard.panels

/** Everything the agent can tell, by name, and the labels of each. The node is added by the PodMonitor, the rest by Prometheus. */
const METRICS = new Map(
  parseExposition(
    await metricsOf({
      version: '1',
      plugin: { inPlace: true, version: '1', installs: 0 },
      sets: { read: true, sets: [{ name: 'one', isSet: true, prefixes: 1, changed: 1 }] },
      pods: {
        look: { at: 1, took: 1 },
        attachments: [{ network: 'net', state: 'ok', differences: 0 }],
        unreadable: 0,
        repairs: {},
        heldBack: 0,
      },
      troubles: { plugin: 0, sets: 0, pods: 0, metrics: 0 },
    }),
  ).map(({ name, samples }) => [name, Object.keys(samples[0]?.labels ?? {})]),
)
const ADDED = ['node', 'job']

const EXPRESSIONS = [
  ...rules.map(({ alert, expr }) => [`alert ${alert}`, expr] as const),
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [`panel ${title}`, expr] as const)),
]

/** What an expression of PromQL is made of; `error` where it is none. */
function partsOf(expression: string): { name: string; text: string }[] {
  // Grafana puts a duration there.
  const text = expression.replaceAll('$__rate_interval', '5m')
  const parts: { name: string; text: string }[] = []
  parser.parse(text).iterate({
    enter: ({ type, from, to }) => {
      parts.push({ name: type.isError ? 'error' : type.name, text: text.slice(from, to) })
    },
  })
  return parts
}

describe('an expression', () => {
  it.each(EXPRESSIONS)('of %s is PromQL: %s', (_, expression) => {
    expect(partsOf(expression).filter(({ name }) => name === 'error')).toEqual([])
  })

  it.each(EXPRESSIONS)('of %s names metrics and labels that there are: %s', (_, expression) => {
    const parts = partsOf(expression)
    const metrics = parts.filter(({ name }) => name === 'Identifier').map(({ text }) => text)
    expect(metrics.length).toBeGreaterThan(0)
    const known = [...METRICS.keys(), 'up']
    expect(metrics.filter((metric) => !known.includes(metric))).toEqual([])
    const labels = parts.filter(({ name }) => name === 'LabelName').map(({ text }) => text)
    const allowed = [...ADDED, ...metrics.flatMap((metric) => METRICS.get(metric) ?? [])]
    expect(labels.filter((label) => !allowed.includes(label))).toEqual([])
  })

  it('that is none is found', () => {
    for (const wrong of ['sum(up', 'up ==', 'sum by node (up)', 'rate(up[five])', 'up{node="a}', 'a b'])
      expect(
        partsOf(wrong).some(({ name }) => name === 'error'),
        wrong,
      ).toBe(true)
  })
})

describe('the alerts', () => {
  const exprOf = (name: string) => rules.find(({ alert }) => alert === name)?.expr

  it('are of drift, of sets that are refused, of looks that are not done, and of a plugin that is not in place', () => {
    expect(rules.map((rule) => [rule.alert, rule.for, rule.labels.severity])).toEqual([
      ['XCalicoRouteDrift', '10m', 'warning'],
      ['XCalicoRouteSetRefused', '15m', 'warning'],
      ['XCalicoRouteLookStale', '5m', 'warning'],
      ['XCalicoRoutePluginNotInPlace', '5m', 'critical'],
    ])
    expect(exprOf('XCalicoRouteSetRefused')).toBe('x_calico_route_sets_refused > 0')
    expect(exprOf('XCalicoRouteLookStale')).toContain('time() - x_calico_route_last_look_timestamp_seconds > 300')
    expect(exprOf('XCalicoRoutePluginNotInPlace')).toContain('x_calico_route_plugin_in_place == 0')
  })

  it('take what cannot be looked at for drift, too, and no state that there is not', () => {
    const [, states = ''] =
      /x_calico_route_attachments\{state=~"([^"]*)"\}/.exec(exprOf('XCalicoRouteDrift') ?? '') ?? []
    expect(states.split('|')).toEqual(['differs', 'error'])
    expect(STATES).toEqual(expect.arrayContaining(states.split('|')))
  })

  it('ask for up by the name that a PodMonitor gives the job', () => {
    const { metadata } = parse(read('podmonitor.yaml'))
    expect(exprOf('XCalicoRoutePluginNotInPlace')).toContain(`up{job="${metadata.namespace}/${metadata.name}"} == 0`)
  })

  it('tell only of labels that they have', () => {
    for (const { expr, annotations } of rules) {
      const [, by] = /^sum by \(([^)]*)\)/.exec(expr) ?? []
      const labels = by?.split(', ') ?? ADDED
      const told = Object.values(annotations).flatMap((text) =>
        [...text.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label),
      )
      expect(told.length).toBeGreaterThan(0)
      expect(told.filter((label) => !labels.includes(label ?? ''))).toEqual([])
    }
  })
})

describe('the dashboard', () => {
  it('shows every metric there is', () => {
    const shown = panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => partsOf(expr).map(({ text }) => text)))
    expect([...METRICS.keys()].filter((name) => !shown.includes(name))).toEqual([])
  })

  it('has panels that do not cover each other, within 24 columns', () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length)
  })

  it('takes its nodes from a metric that there is', () => {
    const variable = dashboard.templating.list.find(({ name }: { name: string }) => name === 'node')
    const [, metric = '', label] = /^label_values\((\w+), (\w+)\)$/.exec(variable.query.query) ?? []
    expect({ isKnown: METRICS.has(metric), label }).toEqual({ isKnown: true, label: 'node' })
  })
})
