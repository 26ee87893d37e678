type Environment = Readonly<Record<string, string | undefined>>

/**
 * Whether stdout takes colours, unless --color says otherwise: what is set for the colours of all programs, then the terminal.
 * @see https://no-color.org https://force-color.org
 */
export function colorsIn({ NO_COLOR, FORCE_COLOR, TERM }: Environment, terminal: boolean): boolean {
  if (NO_COLOR) return false
  // 0 and false as Node.js' own tools have it.
  if (FORCE_COLOR) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false'
  return terminal && TERM !== 'dumb'
}

/** Of a terminal: what somebody set, else what the terminal says; 80 if it says nothing. */
export function columnsIn({ COLUMNS = '' }: Environment, terminal: number | undefined): number {
  return /^[1-9]\d{0,4}$/.test(COLUMNS) ? Number(COLUMNS) : terminal || 80
}
