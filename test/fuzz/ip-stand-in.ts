/** A host where `ip` answers what it was given, whatever it is asked, and writes down what it is told to change. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type Host, hostWhereIpIs } from '../support/tools.ts'

const SCRIPT = `
  while IFS= read -r line; do
    case $line in
      'route show'*) cat $DIRECTORY/routes ;;
      'address show'*) cat $DIRECTORY/links ;;
      # As if no packet got anywhere.
      'route get'*) echo '[]' ;;
      *) printf '%s\\n' "$line" >> $DIRECTORY/told ;;
    esac
  done`

export interface StandIn extends Host {
  answer(routes: Uint8Array, links: Uint8Array): void
  /** The changes it was told to make since the last answer. */
  told(): string[]
}

export function ipStandIn(): StandIn {
  const host = hostWhereIpIs(SCRIPT)
  const file = (name: string) => `${host.directory}/${name}`
  writeFileSync(file('told'), '')
  return {
    ...host,
    [Symbol.dispose]: () => host[Symbol.dispose](),
    answer(routes, links) {
      // One line each: so ip(8) ends an answer, and so the plugin knows the end of it.
      writeFileSync(file('routes'), Buffer.concat([routes, Buffer.from('\n')]))
      writeFileSync(file('links'), Buffer.concat([links, Buffer.from('\n')]))
      rmSync(file('told'))
      writeFileSync(file('told'), '')
    },
    told: () => readFileSync(file('told'), 'utf8').split('\n').filter(Boolean),
  }
}
