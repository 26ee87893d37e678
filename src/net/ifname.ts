/** What keeps a name, legal for the kernel, out of a batch of ip(8), which has comments and quotes; or undefined. */
export function batchProblem(name: string): string | undefined {
  return /[#"'\\]/.test(name) ? 'has a quote, "#" or backslash, which ip -batch cannot take' : undefined
}

/** What is wrong with an interface name, or undefined. */
export function ifnameProblem(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return 'is no interface name'
  if (new TextEncoder().encode(name).length > 15) return 'is longer than the 15 bytes of an interface name'
  if (/[/:\s]/.test(name)) return 'has a slash, colon or white space, which no interface name may have'
  return undefined
}
