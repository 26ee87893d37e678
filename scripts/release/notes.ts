/** The section of CHANGELOG.md for a version; undefined if there is none. A heading is `## 0.1.0` or `## [0.1.0]`, with or without a date. */
export function section(changelog: string, version: string): string | undefined {
  const [, ...sections] = `\n${changelog}`.split(/\n## /)
  const found = sections.find((text) => /^\[?([^\]\s]+)/.exec(text)?.[1] === version)
  return found?.replace(/^.*\n?/, '').trim()
}

/** Whether there are only headings and link targets. */
export function saysNothing(notes: string): boolean {
  return notes.split('\n').every((line) => /^(\s*|#.*|\[[^\]]+\]:.*)$/.test(line))
}
