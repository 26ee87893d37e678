import { existsSync } from 'node:fs'
import path from 'node:path'
import { CHILD_ENV } from '../kernel/tools.ts'

/**
 * The words before a command that limit it and its children: `data` bytes of private memory for each, and no core file,
 * which would be as large. Empty if there is no prlimit(1).
 * @see getrlimit(2) RLIMIT_DATA
 */
export function limitedBy({ data }: { readonly data: number }): [] | [string, ...string[]] {
  const tool = CHILD_ENV.PATH.split(':')
    .map((directory) => path.join(directory, 'prlimit'))
    .find((file) => existsSync(file))
  return tool === undefined ? [] : [tool, `--data=${data}`, '--core=0']
}
