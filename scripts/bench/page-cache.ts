import { readFileSync, writeFileSync } from 'node:fs'
import { execa } from 'execa'

/** Brings files into the page cache in the same way each time: dropped first, then read from start to end. */
export async function warm(files: readonly string[]): Promise<void> {
  for (const file of files) {
    await forget([file])
    readFileSync(file)
  }
}

/** Drops these files from the page cache, unless they are mapped. @see dd(1) nocache */
export async function forget(files: readonly string[]): Promise<void> {
  for (const file of files) {
    await execa('sync', [file])
    await execa('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none'])
  }
}

/** Drops every file. @throws Error if that is not allowed */
export async function dropPageCache(): Promise<void> {
  await execa('sync')
  writeFileSync('/proc/sys/vm/drop_caches', '3')
}
