import { existsSync } from 'node:fs'

const DIRECTORIES = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']

/**
 * Whether tests have to be left out because programs are missing. In CI that is an error.
 * @param programs each with the Debian package that has it
 */
export function isMissing(programs: Readonly<Record<string, string>>, what: string): boolean {
  const missing = Object.entries(programs).filter(
    ([name]) => !DIRECTORIES.some((path) => existsSync(`${path}/${name}`)),
  )
  if (missing.length === 0) return false
  const said = `${what} needs the Debian packages ${missing.map(([, name]) => name).join(' ')}`
  if (process.env.CI) throw new Error(said)
  console.warn(`${said}: its tests are left out`)
  return true
}
