/**
 * Why a name that the kernel allows cannot be written in a batch of ip(8), which has comments and quotes; or undefined.
 */
export function batchProblem(name: string): string | undefined {
  return /[#"'\\]/.test(name) ? 'has a quote, "#" or backslash, which ip -batch cannot take' : undefined
}

/** What is wrong with an interface name, or undefined. */
export function ifnameProblem(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return 'is not an interface name'
  if (new TextEncoder().encode(name).length > 15) return 'is longer than 15 bytes, the limit for an interface name'
  if (/[/:\s]/.test(name)) return 'has a slash, colon or white space, which no interface name can have'
  return undefined
}
