/**
 * Network namespaces of the real kernel. Their names bear the process that made them, so that test workers never
 * meet, and that the namespaces of a worker that was killed can be told and removed by the next one.
 * Needs root, or `unshare -rnm` with a tmpfs on /run.
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { threadId } from 'node:worker_threads'
import { execa, execaSync } from 'execa'

const DIRECTORY = '/run/netns'
const OWNED = /^xcr-(\d+)-/

const alive = new Set<string>()
let counter = 0

/** Where a runtime finds the namespace: the value of CNI_NETNS. */
export const netnsPath = (netns: string): string => `${DIRECTORY}/${netns}`

/** One new namespace per role, all made by one process. */
export async function createNamespaces<Role extends string>(...roles: Role[]): Promise<Record<Role, string>> {
  if (counter === 0) removeOrphans()
  counter += 1
  const names = roles.map((role) => [role, `xcr-${process.pid}-${threadId}-${counter}-${role}`] as const)
  for (const [, name] of names) alive.add(name)
  await execa('ip', ['-batch', '-'], { input: names.map(([, name]) => `netns add ${name}\n`).join('') })
  return Object.fromEntries(names) as Record<Role, string>
}

/** Removes every namespace this process has made, and with them whatever is inside. For `afterEach`. */
export function removeNamespaces(): void {
  remove([...alive])
  alive.clear()
}

/** Removes one namespace while others live on, as when a pod dies. */
export function removeNamespace(netns: string): void {
  remove([netns])
  alive.delete(netns)
}

function remove(names: string[]): void {
  const input = names
    .filter((name) => existsSync(netnsPath(name)))
    .map((name) => `netns del ${name}\n`)
    .join('')
  if (input) execaSync('ip', ['-force', '-batch', '-'], { input })
}

// A test that fails leaves by afterEach, a worker that ends leaves by this.
process.on('exit', removeNamespaces)

/** A worker that was killed could not clean up: its namespaces are those whose process is gone. */
function removeOrphans(): void {
  mkdirSync(DIRECTORY, { recursive: true })
  remove(
    readdirSync(DIRECTORY).filter((name) => {
      const pid = OWNED.exec(name)?.[1]
      return pid !== undefined && !existsSync(`/proc/${pid}`)
    }),
  )
}

/**
 * Runs a script in a namespace, in one process per group of lines. A line is what follows `ip`, with `-6` before it if
 * it needs that, or `sysctl KEY=VALUE`; empty lines and `#` comments are free. The first line that fails fails the script.
 */
export async function configure(netns: string, script: string): Promise<void> {
  const shell: string[] = []
  let batch: string[] = []
  let family = ''
  const flush = () => {
    if (batch.length > 0) shell.push(`ip ${family} -batch - <<END`, ...batch, 'END')
    batch = []
  }
  for (const line of script.split('\n').map((text) => text.trim())) {
    const [, key, value] = /^sysctl ([^=]+)=(.*)$/.exec(line) ?? []
    if (key) {
      flush()
      shell.push(`echo ${value} > /proc/sys/${key.replaceAll('.', '/')}`)
    } else if (line && !line.startsWith('#')) {
      const [, option = '', rest = ''] = /^(-6 )?(.*)$/.exec(line) ?? []
      if (option !== family) flush()
      family = option
      batch.push(rest)
    }
  }
  flush()
  await inNetns(netns, 'sh', ['-ec', shell.join('\n')])
}

/** Runs a command in a namespace; only the network changes, as with a process of the pod. */
export async function inNetns(netns: string, command: string, args: string[]): Promise<string> {
  const { stdout } = await execa('nsenter', [`--net=${netnsPath(netns)}`, command, ...args])
  return stdout
}

/**
 * The routes of one table, both families, as `ip route` words them, sorted:
 * `10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142`. Left out are the words that say nothing (`pref medium`) and
 * the link-local and multicast routes that the kernel makes for every interface.
 */
export async function routes(netns: string, table = 'main'): Promise<string[]> {
  const { stdout } = await execa('ip', ['-n', netns, '-o', 'route', 'show', 'table', 'all'])
  return stdout
    .split('\n')
    .map((line) =>
      line
        .replaceAll(/\\| pref medium| linkdown/g, ' ')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '' && !/^(fe80::\/64|multicast ff00::\/8) /.test(line))
    .filter((line) => (/ table (\S+)/.exec(line)?.[1] ?? 'main') === table)
    .map((line) => line.replace(` table ${table}`, ''))
    .sort()
}

/** Everything a plugin could have changed in a namespace, in the kernel's own order: compare it before and after. */
export async function dump(netns: string): Promise<string> {
  const show = async (family: string) => {
    const lines = ['route show table all', 'rule show', 'addr show', 'link show', 'nexthop show']
    const { stdout } = await execa('ip', ['-n', netns, family, '-d', '-N', '-o', '-batch', '-'], {
      input: `${lines.join('\n')}\n`,
    })
    return stdout
  }
  // Of a time that runs out, only that there is one stays the same.
  return `${await show('-4')}\n${await show('-6')}`.replaceAll(/\bexpires \d+sec/g, 'expires soon')
}

/** Does something, and says whether the namespace looks the same afterwards, to the last attribute. */
export async function changes(
  netns: string,
  action: () => Promise<unknown>,
): Promise<{ before: string; after: string }> {
  const before = await dump(netns)
  await action()
  return { before, after: await dump(netns) }
}

/** Waits for the kernel to have given an interface its link-local address, which it does on its own time. */
export async function linkLocalReady(netns: string, ifname: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const { stdout } = await execa('ip', ['-n', netns, '-6', '-o', 'addr', 'show', 'dev', ifname, 'scope', 'link'])
    if (stdout.includes('fe80::') && !stdout.includes('tentative')) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`no link-local address on ${ifname} in ${netns}`)
}
