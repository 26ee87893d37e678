/**
 * Reads Prometheus' text format as strictly as its specification allows. What Prometheus would take with a shrug is an error.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */

export interface Metric {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly samples: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[]
}

const NAME = '[a-zA-Z_][a-zA-Z0-9_]*'
const VALUE = '-?(?:\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?|Inf)|NaN'
const LABEL = `(${NAME})="((?:[^"\\\\\\n]|\\\\[\\\\n"])*)"`

const SAMPLE = new RegExp(`^(?<name>${NAME})(?:\\{(?<written>${LABEL}(?:,${LABEL})*)\\})? (?<value>${VALUE})$`)

/** @throws Error that names the line */
export function parseExposition(text: string): Metric[] {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const metrics: (Metric & { samples: { labels: Record<string, string>; value: number }[] })[] = []
  const seen = new Set<string>()
  for (const [index, line] of text.slice(0, -1).split('\n').entries()) {
    const fail = (what: string): never => {
      throw new Error(`line ${index + 1}, ${what}: ${line}`)
    }
    if (line === '') continue
    const last = metrics.at(-1)
    const [, helped, help = ''] = new RegExp(`^# HELP (${NAME}) (.+)$`).exec(line) ?? []
    if (helped !== undefined) {
      if (metrics.some(({ name }) => name === helped)) fail('a second time')
      metrics.push({ name: helped, help, type: '', samples: [] })
      continue
    }
    const [, typed, type = ''] = new RegExp(`^# TYPE (${NAME}) (counter|gauge)$`).exec(line) ?? []
    if (typed !== undefined) {
      if (!last || last.name !== typed || last.type !== '') fail('a type of nothing')
      else metrics[metrics.length - 1] = { ...last, type }
      continue
    }
    const { name, written = '', value } = SAMPLE.exec(line)?.groups ?? {}
    if (name === undefined) return fail('not a sample')
    if (!last || last.name !== name || last.type === '') return fail('a sample without its type')
    const pairs = [...written.matchAll(new RegExp(LABEL, 'g'))].map(([, key = '', text = '']) => [key, text] as const)
    if (new Set(pairs.map(([key]) => key)).size !== pairs.length) fail('a label twice')
    const series = `${name} ${JSON.stringify([...pairs].sort())}`
    if (seen.has(series)) fail('a series twice')
    seen.add(series)
    last.samples.push({ labels: Object.fromEntries(pairs), value: Number(value) })
  }
  for (const { name, type, samples } of metrics)
    if (type === '' || samples.length === 0) throw new Error(`${name}: has no type, or no sample`)
  return metrics
}
