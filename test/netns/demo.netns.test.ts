import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { screenOf } from '../../scripts/demo/picture.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')

/** What `make demo` runs once it has built. */
async function demo(env: Record<string, string> = {}, without: readonly string[] = []) {
  const command = [process.execPath, path.join(ROOT, 'scripts/demo.ts')]
  const { exitCode, stdout, stderr } = await execa('env', [...without.map((name) => `--unset=${name}`), ...command], {
    env: { NO_COLOR: '1', ...env },
    reject: false,
  })
  return { exitCode, stdout, stderr }
}

/** A program in the place of another, in a directory of its own. @returns its path */
function program(name: string, text: string): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'xcr-demo-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const file = path.join(directory, name)
  writeFileSync(file, text)
  chmodSync(file, 0o755)
  return file
}

/** ip(8), and something that is done with the script it reads, which is in $script. */
function insteadOfIp(shell: string): Record<string, string> {
  const file = program(
    'ip',
    `#!/bin/sh
    PATH=$ROOT_PATH
    case " $* " in *" -batch "*) ;; *) exec ip "$@" ;; esac
    script=$(cat)
    ${shell}`,
  )
  const { PATH = '' } = process.env
  return { PATH: `${path.dirname(file)}:${PATH}`, ROOT_PATH: PATH }
}

describe('make demo', () => {
  let shown: Awaited<ReturnType<typeof demo>>
  beforeAll(async () => {
    shown = await demo()
  })

  test('proves all that it says', () => {
    expect(shown).toEqual({
      exitCode: 0,
      stderr: '',
      stdout: expect.stringContaining('internet     203.0.113.10  net1'),
    })
  })

  test('fits on a screen, without colours where nobody sees them', () => {
    const lines = shown.stdout.split('\n')
    expect(lines.length).toBeLessThanOrEqual(46)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(shown.stdout).not.toContain('\x1b')
  })

  test('shows what its recording shows; else run: make demo-recording', () => {
    expect(screenOf(readFileSync(path.join(ROOT, 'docs/demo.svg'), 'utf8'))).toEqual([
      '$ make demo',
      ...shown.stdout.split('\n'),
    ])
  })

  test('has colours where they are wanted', async () => {
    const { stdout } = await demo({ FORCE_COLOR: '1' }, ['NO_COLOR'])
    expect(stdout).toContain('\x1b[32m✓\x1b[39m underlay')
  })
})

describe('make demo fails', () => {
  test('where a packet goes another way than it says', async () => {
    // A plugin that says yes to everything.
    const yes = program(
      'x-calico-route',
      `#!${process.execPath}
      const { prevResult } = JSON.parse(require('node:fs').readFileSync(0))
      if (process.env.CNI_COMMAND === 'ADD') console.log(JSON.stringify(prevResult))`,
    )
    const { exitCode, stdout } = await demo({ XCR_PLUGIN: yes })
    expect(exitCode).toBe(1)
    expect(stdout).toContain(
      'FAILED: internet 203.0.113.10: underlay sees 10.199.3.153, 5 packets by eth0; must be: internet sees 10.0.1.11, 5 packets by net1',
    )
  })

  test('where the plugin does', async () => {
    expect(await demo({ XCR_PLUGIN: '/bin/false' })).toMatchObject({
      exitCode: 1,
      stderr: 'demo: ADD of eth0 failed with exit status 1: ',
    })
  })

  test('where the kernel has no veth, and says where it is', async () => {
    const refuses = `case $script in *'type veth'*) echo 'Error: Unknown device type.' >&2; exit 2 ;; esac
      printf '%s\\n' "$script" | ip "$@"`
    const { exitCode, stderr } = await demo(insteadOfIp(refuses))
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining('run: modprobe veth') })
  })
})

test('make demo goes on with IPv4, and says so, where new network namespaces have no IPv6', async () => {
  const disables = `printf '%s\\n' "$script" | ip "$@" || exit
    printf '%s\\n' "$script" | sed -n 's/^netns add //p' | while read -r name; do
      nsenter --net=/run/netns/$name sh -c 'for conf in all default; do echo 1 >/proc/sys/net/ipv6/conf/$conf/disable_ipv6; done'
    done`
  const { exitCode, stdout, stderr } = await demo(insteadOfIp(disables))
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(stdout).toContain('note: this kernel has no IPv6')
  expect(stdout).toContain('internet     203.0.113.10  net1  the internet')
  expect(stdout).not.toMatch(/fe80|fd00|IPv6 {2}/)
})
