import { execa } from 'execa'
import { describe, expect, onTestFinished, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import { scratch, starting, tool } from './tool.ts'

const trouble = (...lines: string[]) => ({ exitCode: 2, stdout: '', stderr: `${lines.join('\n')}\n` })

describe('words that nobody can have meant', () => {
  test.each([
    [['valdate'], 'x-calico-route: unknown command "valdate"; did you mean "validate"?'],
    [['remove'], 'x-calico-route: unknown command "remove"'],
    [['--', 'plan'], 'x-calico-route: unknown command "--"'],
    [['--color=never'], 'x-calico-route: COMMAND is missing'],
    [['--versoin'], 'x-calico-route: --versoin: is not an option before the command; did you mean "--version"?'],
    [[''], 'x-calico-route: unknown command ""'],
  ])('%j is no command', async (words, line) => {
    expect(await tool(words)).toEqual(trouble(line, 'See x-calico-route --help.'))
  })

  test.each([
    [['install', 'here'], 'install: "here": this command takes options only'],
    [['uninstall', '--from'], 'uninstall: --from: needs a value: --from DIR'],
    [
      ['plan', '--netns', '--ifname', 'eth0'],
      'plan: --netns: needs a value: --netns PATH; one that begins with a dash is written --netns=-…',
    ],
    [['validate', '-o'], 'validate: -o: needs a value: -o text|json|sarif|github'],
    [['verify', '--quiet=yes'], 'verify: --quiet: takes no value'],
    [
      ['validate', '--foo'],
      'validate: --foo: is not an option of this command; it has --sets, --strict, --output, --color, --help',
    ],
    [['validate', '--strct'], 'validate: --strct: is not an option of this command; did you mean "--strict"?'],
    [
      ['validate', '-x'],
      'validate: -x: is not an option of this command; it has --sets, --strict, --output, --color, --help',
    ],
    [['plan', '--ifnam', 'eth0'], 'plan: --ifnam: is not an option of this command; did you mean "--ifname"?'],
    [['verify', '--cach=x'], 'verify: --cach: is not an option of this command; did you mean "--cache"?'],
    [['install', '--nostatus'], 'install: --nostatus: is not an option of this command; did you mean "--no-status"?'],
    [['schema', '--strict'], 'schema: --strict: is not an option of this command; it has --color, --help'],
    [['schema', 'file'], 'schema: "file": this command takes options only'],
    [['uninstall', '--forse'], 'uninstall: --forse: is not an option of this command; did you mean "--force"?'],
    [
      ['validate', '--\x1b[31m'],
      'validate: --?[31m: is not an option of this command; it has --sets, --strict, --output, --color, --help',
    ],
    [['plan'], 'plan: exactly one FILE is needed; or give --pod, for a pod of this node'],
    [['plan', 'a', 'b'], 'plan: at most one FILE can be given'],
    [['verify', 'a', 'b'], 'verify: at most one FILE can be given'],
    [['verify', '--color=no'], 'verify: --color: must be auto, always or never, is "no"'],
    [['plan', '--verb', 'ADD', '--verb', 'GC', 'a'], 'plan: --verb: must be ADD or DEL, is "GC"'],
    [['completion', 'tcsh'], 'completion: SHELL: must be bash, zsh or fish, is "tcsh"'],
  ])('%j leads to the help of that command', async (words, line) => {
    expect(await tool(words)).toEqual(trouble(`x-calico-route ${line}`, `See x-calico-route ${words[0]} --help.`))
  })

  // `install --to ''` would be the working directory.
  test.each([
    [['install', '--to', ''], ''],
    [['install', '--to='], ', --to='],
    [['uninstall', '--host-root='], ', --host-root='],
    [['verify', '--netns', '', '--ifname', 'eth0', 'a.json'], ''],
    [['validate', ''], ''],
  ])('%j has a word that is empty', async (words, shown) => {
    expect(await tool(words)).toEqual(
      trouble(
        `x-calico-route ${words[0]}: an empty word is among the arguments${shown}; is a variable of the shell not set?`,
      ),
    )
  })

  test.each([
    [['validate', '-', '-'], 'FILE is "-" twice'],
    [['plan', '--routes', '-', '--ifname', 'eth0', '-'], 'FILE and --routes are both "-"'],
    [['plan', '--routes', '-', '--links', '-', '--ifname', 'eth0', 'a'], '--routes and --links are both "-"'],
  ])('%j asks for more than one stdin', async (words, said) => {
    const line = `x-calico-route ${words[0]}: ${said}, but stdin can be read only once; give a file for one of them`
    expect(await tool(words)).toEqual(trouble(line))
  })

  test('two ways to tell the pod are one too many', async () => {
    expect(await tool(['plan', '--netns', '/a', '--routes', '/b', '--ifname', 'eth0', 'c'])).toEqual(
      trouble('x-calico-route plan: --routes: cannot be combined with --netns; give one of them'),
    )
  })
})

describe('what is printed', () => {
  // What a terminal obeys: a title, a colour, a cleared screen; also in the one byte that is for ESC and [ in C1.
  const EVIL = 'a\x1b]0;title\x07\x1b[2J\u009b31m\n.yaml'

  test('holds nothing a terminal would obey out of the name of a file', async () => {
    using files = scratch({ [EVIL]: '{"name": "a", "cniVersion": "1.0.0", "type": "calico"}' })
    const there = files.file(EVIL)
    const pod = ['--netns', '/proc/self/ns/net', '--ifname', 'lo']
    const calls = [
      ['validate', there],
      ['validate', files.directory],
      ['validate', `${there}x`],
      ['validate', '-o', 'json', there],
      ['validate', '--strict', scratchOf(EVIL, 'kind: Pod')],
      ['plan', ...pod, there],
      ['plan', '--ifname', 'lo', '--routes', there, there],
      ['plan', '--ifname', 'lo', '--routes', `${there}x`, there],
      ['plan', ...pod, '--name', '\x1b[31m', there],
      ['plan', ...pod, '-o', '\x1b[31m', there],
      ['verify', ...pod, there],
      ['verify', '--cache', there],
      ['verify', '--root', `${there}x`],
      ['install', '--to', there],
      ['uninstall', '--from', there],
      ['\x1b[31m'],
    ]
    for (const words of calls) {
      const { stdout, stderr } = await tool(words)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: it is their absence that counts
      expect(stdout + stderr, JSON.stringify(words)).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
      expect(stderr.split('\n').length, stderr).toBeLessThanOrEqual(3)
    }
  })

  const scratchOf = (name: string, text: string) => {
    const files = scratch({ [name]: text })
    onTestFinished(() => files[Symbol.dispose]())
    return files.directory
  }

  test('may be read in part, as by head, without a complaint', async () => {
    const child = starting(['schema'])
    child.stdout.destroy()
    expect(await child).toMatchObject({ exitCode: 2, stderr: '' })
  })

  test('is told when it cannot be written', async () => {
    const { exitCode, stderr } = await execa('sh', ['-c', `${PLUGIN} schema >/dev/full`], { reject: false })
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr: 'x-calico-route schema: stdout: cannot be written; ENOSPC: no space left on device, write',
    })
  })
})
