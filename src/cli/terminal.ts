type Environment = Readonly<Record<string, string | undefined>>

/**
 * Whether stdout takes colours, unless --color says so: NO_COLOR and FORCE_COLOR decide, then the terminal.
 * @see https://no-color.org https://force-color.org
 */
export function colorsIn({ NO_COLOR, FORCE_COLOR, TERM }: Environment, terminal: boolean): boolean {
  if (NO_COLOR) return false
  // 0 and false mean no, as in Node.js.
  if (FORCE_COLOR) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false'
  return terminal && TERM !== 'dumb'
}

/** The width of a terminal: COLUMNS, else what the terminal says, else 80. */
export function columnsIn({ COLUMNS = '' }: Environment, terminal: number | undefined): number {
  return /^[1-9]\d{0,4}$/.test(COLUMNS) ? Number(COLUMNS) : terminal || 80
}
