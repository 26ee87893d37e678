import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import { starting, tool } from './tool.ts'

const trouble = (...lines: string[]) => ({ exitCode: 2, stdout: '', stderr: `${lines.join('\n')}\n` })

test.each(['validate', 'plan', 'verify', 'schema', 'install', 'uninstall'])(
  'x-calico-route %s --help says how to use it',
  async (command) => {
    const { stdout, stderr, exitCode } = await tool([command, '--help'])
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
    for (const part of [/^Usage: x-calico-route /, /^Options:$/m, /^Exit status: 0/m, /^Example: x-calico-route /m]) {
      expect(stdout).toMatch(part)
    }
  },
)

describe('words that nobody can have meant', () => {
  test.each([
    [['valdate'], 'x-calico-route: unknown command "valdate"; did you mean "validate"?'],
    [['remove'], 'x-calico-route: unknown command "remove"'],
    [[''], 'x-calico-route: unknown command ""'],
  ])('%j is no command', async (words, line) => {
    expect(await tool(words)).toEqual(trouble(line, 'See x-calico-route --help.'))
  })

  test.each([
    [['install', 'here'], "install: Unexpected argument 'here'. This command does not take positional arguments"],
    [['uninstall', '--from'], "uninstall: Option '--from <value>' argument missing"],
    [['plan'], 'plan: exactly one FILE is needed'],
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

  test('two ways to tell the pod are one too many', async () => {
    expect(await tool(['plan', '--netns', '/a', '--routes', '/b', '--ifname', 'eth0', 'c'])).toEqual(
      trouble('x-calico-route plan: --netns and --routes both tell the pod as it is; give one of them'),
    )
  })
})

describe('what is printed', () => {
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
