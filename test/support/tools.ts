/**
 * Hosts whose `ip` or `nsenter` is another than ours: the plugin is started in a mount namespace of its own, where
 * something else is mounted over the tools. Nothing changes for anybody outside of it.
 */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

const TOOL_DIRECTORIES = ['/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** What starts a program on such a host, for `run(…, via)`, and a directory that belongs to it. */
export interface Host extends Disposable {
  readonly via: readonly string[]
  readonly directory: string
}

/** A host where `ip` is this shell script. In it `$REAL_IP` is the real one, and `$DIRECTORY` the host's directory. */
export function hostWhereIpIs(script: string): Host {
  const real = locate('ip')
  return makeHost((directory) => {
    copyFileSync(real, `${directory}/ip`)
    const text = `#!/bin/sh\nDIRECTORY=${directory}\nREAL_IP=$DIRECTORY/ip\n${script}\n`
    writeFileSync(`${directory}/fake`, text, { mode: 0o755 })
    return `$mount --bind ${directory}/fake ${real}`
  })
}

/** A script for `hostWhereIpIs`: the real one, whose answers this sed(1) script changes. */
export function throughSed(script: string): string {
  return `{ "$REAL_IP" "$@"; echo $? > $DIRECTORY/status; } | sed -u '${script}'; exit $(cat $DIRECTORY/status)`
}

/** A host whose directories of tools hold these and no others. */
export function hostWithOnly(...tools: string[]): Host {
  const directories = [...new Set(TOOL_DIRECTORIES.map((directory) => realpathSync(directory)))]
  return makeHost((directory) => {
    mkdirSync(`${directory}/tools`)
    for (const tool of tools) copyFileSync(locate(tool), `${directory}/tools/${tool}`)
    return directories.map((tool) => `$mount --bind ${directory}/tools ${tool}`).join('\n')
  })
}

function makeHost(fill: (directory: string) => string): Host {
  const directory = mkdtempSync(path.join(tmpdir(), 'xcr-host-'))
  chmodSync(directory, 0o755)
  copyFileSync(locate('mount'), `${directory}/mount`) // survives when the tools are gone
  const mounts = fill(directory)
  const shell = `mount=${directory}/mount\n${mounts}\nexec "$@"`
  return {
    via: ['unshare', '--mount', 'sh', '-ec', shell, 'sh'],
    directory,
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  }
}

/** The file behind a tool's name; symbolic links cannot be mounted upon. */
function locate(tool: string): string {
  for (const directory of TOOL_DIRECTORIES) {
    try {
      return realpathSync(path.join(directory, tool))
    } catch {}
  }
  throw new Error(`this machine has no ${tool}`)
}
