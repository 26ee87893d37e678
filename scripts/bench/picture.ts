import { BARE, PEER, PREDECESSOR, PRODUCT } from './contenders.ts'
import { machineText } from './machine.ts'
import type { Report } from './report.ts'
import { ADD_2, ADD_1000, DEL_ALIVE, VERSION } from './scenarios.ts'

const SCENARIOS = [ADD_2, ADD_1000, DEL_ALIVE, VERSION]
const COLOURS: Readonly<Record<string, string>> = {
  [PRODUCT]: '#2f81f7',
  [BARE]: '#8b949e',
  [PREDECESSOR]: '#d29922',
  [PEER]: '#3fb950',
}
const WIDTH = 760
const LABELS = 150
const BAR = 15
const GAP = 16

/** Readable on light and on dark ground. */
export const STYLE = `<style>text{font:12px system-ui,sans-serif;fill:#57606a}.title{font-weight:600;fill:#1f2328}.end{text-anchor:end}
@media(prefers-color-scheme:dark){text{fill:#8b949e}.title{fill:#e6edf3}}</style>`

export const escaped = (content: string): string =>
  content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** The main results as bars, median wall time each. */
export function picture({ scenarios, machine }: Report): string {
  const groups = scenarios
    .filter(({ name }) => SCENARIOS.includes(name))
    .map(({ name, rows }) => ({ name, rows: rows.filter(({ contender }) => contender in COLOURS) }))
  const longest = Math.max(...groups.flatMap(({ rows }) => rows.map(({ wall }) => wall.median)))
  const scale = (WIDTH - LABELS - 70) / longest
  let y = 34
  const bars = groups.flatMap(({ name, rows }) => {
    const title = text(0, y, name, 'title')
    y += 8
    const drawn = rows.flatMap(({ contender, wall }) => {
      const width = Math.max(1, wall.median * scale)
      const line = [
        text(LABELS - 8, y + BAR - 4, contender, 'end'),
        `<rect x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR - 2}" rx="2" fill="${COLOURS[contender]}"/>`,
        text(LABELS + width + 6, y + BAR - 4, `${wall.median.toFixed(1)} ms`),
      ]
      y += BAR
      return line
    })
    y += GAP + 10
    return [title, ...drawn]
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y + 6}" viewBox="0 0 ${WIDTH} ${y + 6}" role="img">`,
    '<title>Median wall time of one call</title>',
    STYLE,
    text(0, 12, 'Wall time of one call, median', 'title'),
    ...bars,
    text(0, y, machineText(machine)),
    '</svg>\n',
  ].join('\n')
}

function text(x: number, y: number, content: string, kind?: string): string {
  return `<text x="${x.toFixed(1)}" y="${y}"${kind ? ` class="${kind}"` : ''}>${escaped(content)}</text>`
}
