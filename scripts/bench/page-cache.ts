import { readFileSync, writeFileSync } from 'node:fs'
import { execa } from 'execa'

/** Holds files in memory in the same way, however they came there: forgotten first, then read from start to end. */
export async function warm(files: readonly string[]): Promise<void> {
  for (const file of files) {
    await execa('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none'])
    readFileSync(file)
  }
}

/** Forgets every file. @throws Error where that is not allowed */
export async function dropPageCache(): Promise<void> {
  await execa('sync')
  writeFileSync('/proc/sys/vm/drop_caches', '3')
}
