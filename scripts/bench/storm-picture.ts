import { GATED, PEER, PREDECESSOR, PRODUCT } from './contenders.ts'
import { machineText } from './machine.ts'
import { escaped, STYLE } from './picture.ts'
import type { Report } from './report.ts'
import { MEMORIES, MILLI_CPU, type StormRow, TAKEN_MIB } from './storms.ts'

const CALLS = 30
const NAMES = [GATED, PRODUCT, PREDECESSOR, PEER]
const COLOURS = { all: '#3fb950', some: '#d29922', none: '#f85149' } as const
const LABELS = 150
const CELL = { width: 118, height: 22, gap: 6 }
const WIDTH = LABELS + MEMORIES.length * (CELL.width + CELL.gap)

/** How many of 30 ADDs at once succeed, and how fast: a row for each contender, a column for each size of the cgroup. */
export function stormPicture({ storms, machine }: Report): string {
  let y = 34
  const parts: string[] = []
  for (const pages of ['warm', 'cold'] as const) {
    parts.push(text(0, y, `Page cache ${pages}`, 'title'))
    MEMORIES.forEach((memory, column) => {
      parts.push(text(left(column), y, `${memory} MiB`))
    })
    y += 8
    for (const name of NAMES.filter((one) => storms.some(({ contender }) => contender === one))) {
      parts.push(text(LABELS - 8, y + 15, name, 'end'))
      MEMORIES.forEach((memory, column) => {
        const row = storms.find(
          (one) =>
            one.contender === name &&
            one.memoryMiB === memory &&
            one.pages === pages &&
            one.calls === CALLS &&
            one.verb === 'ADD',
        )
        parts.push(...cell(left(column), y, row))
      })
      y += CELL.height + CELL.gap
    }
    y += 24
  }
  const title = `${CALLS} ADDs at once in a cgroup of ${MILLI_CPU}m CPU, ${TAKEN_MIB} MiB of it taken`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y + 6}" viewBox="0 0 ${WIDTH} ${y + 6}" role="img">`,
    `<title>${escaped(title)}</title>`,
    STYLE,
    text(0, 12, title, 'title'),
    ...parts,
    text(0, y, machineText(machine)),
    '</svg>\n',
  ].join('\n')
}

const left = (column: number) => LABELS + column * (CELL.width + CELL.gap)

/** Filled in proportion to the calls that succeeded. No row: not tried, because fewer at once had already failed. */
function cell(x: number, y: number, row: StormRow | undefined): string[] {
  const share = row === undefined ? 0 : row.succeeded / row.calls
  const colour = share === 1 ? COLOURS.all : share > 0 ? COLOURS.some : COLOURS.none
  const said =
    row === undefined
      ? 'not even 8'
      : share === 1
        ? `${row.calls}, ${row.seconds.toFixed(1)} s`
        : `${row.succeeded}${row.kills > 0 ? `, ${row.kills} killed` : ''}${row.late ? ', stalled' : ''}`
  return [
    `<rect x="${x}" y="${y}" width="${CELL.width}" height="${CELL.height}" rx="2" fill="${colour}" fill-opacity="0.15"/>`,
    `<rect x="${x}" y="${y}" width="${(CELL.width * share).toFixed(1)}" height="${CELL.height}" rx="2" fill="${colour}" fill-opacity="0.5"/>`,
    text(x + 6, y + 15, said),
  ]
}

function text(x: number, y: number, content: string, kind?: string): string {
  return `<text x="${x}" y="${y}"${kind ? ` class="${kind}"` : ''}>${escaped(content)}</text>`
}
