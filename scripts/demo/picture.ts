/**
 * A terminal's screen as an animated SVG that needs nothing but itself: each line appears when it was printed. Who does not animate,
 * or does not want it, sees the whole screen.
 */

/** A line of the screen, with its escape sequences, and the seconds after which it was there. */
export interface Line {
  readonly text: string
  readonly at: number
}

const CHARACTER = 8
const LINE = 18
const MARGIN = 16

/** SGR codes, of those that styleText writes for the demonstration, and the class of what follows. */
const CLASSES: Readonly<Record<string, string>> = { '1': 'b', '2': 'd', '31': 'r', '32': 'g', '33': 'y' }

const STYLE = `.s{fill:#fff;stroke:#d0d7de}text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1f2328;white-space:pre;animation:a 1ms backwards}
.b{font-weight:700}.d{fill:#59636e}.r{fill:#cf222e}.g{fill:#1a7f37}.y{fill:#9a6700}
@keyframes a{from{visibility:hidden}}
@media(prefers-color-scheme:dark){.s{fill:#0d1117;stroke:#3d444d}text{fill:#f0f6fc}.d{fill:#9198a1}.r{fill:#ff7b72}.g{fill:#3fb950}.y{fill:#d29922}}
@media(prefers-reduced-motion:reduce){text{animation:none}}`

export function picture(title: string, lines: readonly Line[], columns: number): string {
  const [width, height] = [columns * CHARACTER + 2 * MARGIN, lines.length * LINE + 2 * MARGIN]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="s" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="6"/>`,
    ...lines.map(row),
    '</svg>\n',
  ].join('\n')
}

function row({ text, at }: Line, index: number): string {
  const [first = '', ...styled] = text.split('\x1b[')
  let length = first.length
  const spans = styled.map((part) => {
    const [code = '', ...rest] = part.split('m')
    const words = rest.join('m')
    length += words.length
    const style = CLASSES[code]
    return style && words ? `<tspan class="${style}">${escaped(words)}</tspan>` : escaped(words)
  })
  // The length holds the columns in line, whatever the font is.
  const place = `x="${MARGIN}" y="${MARGIN + index * LINE + 13}" textLength="${length * CHARACTER}"`
  return `<text xml:space="preserve" ${place} style="animation-delay:${at.toFixed(2)}s">${escaped(first)}${spans.join('')}</text>`
}

/** The lines of a picture, as they were without their escape sequences. */
export function screenOf(svg: string): string[] {
  return [...svg.matchAll(/<text [^>]*>(.*)<\/text>/g)].map(([, line = '']) =>
    line
      .replaceAll(/<[^>]*>/g, '')
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')
      .replaceAll('&amp;', '&'),
  )
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
