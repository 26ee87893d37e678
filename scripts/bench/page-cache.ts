import { readFileSync, writeFileSync } from 'node:fs'
import { execa } from 'execa'

/** Holds files in memory in the same way, however they came there: forgotten first, then read from start to end. */
export async function warm(files: readonly string[]): Promise<void> {
  for (const file of files) {
    await forget([file])
    readFileSync(file)
  }
}

/** Forgets these files, as far as nobody has them mapped: they are read from the disk again. @see dd(1) nocache */
export async function forget(files: readonly string[]): Promise<void> {
  for (const file of files) {
    await execa('sync', [file])
    await execa('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none'])
  }
}

/** Forgets every file. @throws Error where that is not allowed */
export async function dropPageCache(): Promise<void> {
  await execa('sync')
  writeFileSync('/proc/sys/vm/drop_caches', '3')
}
