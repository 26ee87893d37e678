import { printable } from './paint.ts'

/** Rows as aligned columns, two spaces apart, without control characters. The last column is not padded. */
export function table(
  rows: readonly (readonly string[])[],
  paint: (text: string, row: number, column: number) => string,
): string {
  const shown = rows.map((row) => row.map(printable))
  const widths = (shown[0] ?? []).map((_, column) =>
    shown.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), 0),
  )
  return shown
    .map((row, i) => {
      const cells = row.map((cell, column) => {
        const padding = column === row.length - 1 ? '' : ' '.repeat((widths[column] ?? 0) - cell.length)
        return paint(cell, i, column) + padding
      })
      return `${cells.join('  ').trimEnd()}\n`
    })
    .join('')
}
