/** Text in lines of at most `width` columns, as far as its words allow. */
export function linesOf(text: string, width: number): string[] {
  return fill(text.split(' '), width)
}

/** The same of what may be written after a command, where what stands in brackets stays together. */
export function usageLines(usage: string, width: number): string[] {
  const pieces: string[] = []
  let depth = 0
  for (const word of usage.split(' ')) {
    if (depth > 0) pieces.push(`${pieces.pop()} ${word}`)
    else pieces.push(word)
    depth += word.split('[').length - word.split(']').length
  }
  return fill(pieces, width)
}

function fill(pieces: readonly string[], width: number): string[] {
  const lines: string[] = []
  for (const piece of pieces) {
    const line = lines.at(-1)
    if (line !== undefined && line.length + 1 + piece.length <= width) lines[lines.length - 1] = `${line} ${piece}`
    else lines.push(piece)
  }
  return lines
}
