import { printable } from './paint.ts'

/** Rows as columns of text, two spaces apart; the last one as long as it is. Control characters would act on the terminal. */
export function table(
  rows: readonly (readonly string[])[],
  paint: (text: string, row: number, column: number) => string,
): string {
  const shown = rows.map((row) => row.map(printable))
  const widths = (shown[0] ?? []).map((_, column) =>
    shown.reduce((most, row) => Math.max(most, row[column]?.length ?? 0), 0),
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
