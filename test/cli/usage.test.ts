/** What the tool says of itself: help, the manual page, the version; the same everywhere. */
import { readFileSync } from 'node:fs'
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import { tool } from './tool.ts'

const ok = async (...words: string[]): Promise<string> => {
  const { stdout, stderr, exitCode } = await tool(words)
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 })
  return stdout
}

/** As the parser has it, which tells what it takes when something else is asked of it. */
const listedIn = async (before: string, ...words: string[]): Promise<string[]> => {
  const { stderr } = await tool(words)
  const [, list = ''] = new RegExp(`${before} (.*)`).exec(stderr) ?? []
  return list.replace(/, is .*/, '').split(/, | or /)
}
const COMMANDS = await listedIn('must be', 'help', '?')
const MAN = await ok('man')
const SHELLS = await Promise.all(['bash', 'zsh', 'fish'].map((shell) => ok('completion', shell)))
const DOCUMENT = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')

test('these are the commands', () => {
  expect(COMMANDS).toEqual([
    'validate',
    'plan',
    'verify',
    'repair',
    'schema',
    'install',
    'agent',
    'uninstall',
    'completion',
    'man',
    'version',
    'help',
  ])
})

test.each(COMMANDS)(
  'x-calico-route %s: each option it takes is in help, manual page, completions and docs/cli.md',
  async (command) => {
    const help = await ok(command, '--help')
    const options = await listedIn('it has', command, '--no-such-option-anywhere')
    expect(options.slice(-2)).toEqual(['--color', '--help'])
    const own = (text: string, begin: string, end: RegExp) => text.split(begin)[1]?.split(end)[0] ?? ''
    const manual = own(MAN, `.SS ${command}\n`, /^\.S[SH] /m) + own(MAN, '.SH OPTIONS\n', /^\.SH /m)
    const page = own(DOCUMENT, `\n## ${command}\n`, /^## /m) + own(DOCUMENT, '\nEvery command takes:\n', /^## /m)
    const [bash = '', zsh = '', fish = ''] = SHELLS
    const [, offered = ''] = new RegExp(`^    '${command}'\\)\\n.*-W '([^']*)'`, 'm').exec(bash) ?? []
    for (const option of options) {
      expect(help).toMatch(new RegExp(`^ {2}(-\\w, | {4})?${option}( |\\[=|$)`, 'm'))
      expect(manual).toMatch(
        new RegExp(`^\\.TP\\n(\\\\fB\\\\-\\w\\\\fR, )?\\\\fB${option.replaceAll('-', '\\\\-')}\\\\fR( |\\[=|$)`, 'm'),
      )
      expect(page).toMatch(new RegExp(`^\\| \`(-\\w, )?${option}[ \`[]`, 'm'))
      expect(offered.split(' ')).toContain(option)
      expect(own(zsh, `        ${command})\n`, /;;/)).toMatch(new RegExp(`[' {,]${option}[=,}\\['' ]`))
      expect(fish).toContain(`'__x_calico_route_command_is \\'${command}\\'' -l ${option.slice(2)} `)
    }
  },
)

describe('help', () => {
  const ways = COMMANDS.map((name) => [
    [name, '--help'],
    ['help', name],
    ['--help', name],
    [name, '-h', '--nope'],
  ])
  test.each(ways)('is the same by %j, %j, %j and %j', async (first, ...others) => {
    const help = await ok(...first)
    for (const part of [/^Usage: x-calico-route /, /^Options:$/m, /^Exit status:\n {2}0 /m, /^Examples?:\n {2}\S/m])
      expect(help).toMatch(part)
    for (const words of others) expect(await ok(...words)).toBe(help)
  })

  test('of all is that of help, --help and -h', async () => {
    const help = await ok('--help')
    for (const command of COMMANDS) expect(help).toMatch(new RegExp(`^  ${command} +\\w`, 'm'))
    for (const words of [['help'], ['-h']]) expect(await ok(...words)).toBe(help)
  })

  test.each([...COMMANDS, ''])('of "%s" fits 80 columns in a pipe, whatever COLUMNS is', async (command) => {
    const { stdout } = await execa(PLUGIN, [...(command ? [command] : []), '--help'], { env: { COLUMNS: '40' } })
    const widths = stdout.split('\n').map((line) => line.length)
    expect(Math.max(...widths)).toBeLessThanOrEqual(80)
    expect(Math.max(...widths)).toBeGreaterThan(60)
  })

  /** On a terminal of so many columns, from which colours are taken out. */
  const onTerminal = async (columns: number, env: Record<string, string> = {}) => {
    const { stdout } = await execa('script', ['-qec', `stty cols ${columns}; ${PLUGIN} install --help`, '/dev/null'], {
      env: { PATH: process.env.PATH, TERM: 'xterm', ...env },
      extendEnv: false,
      input: '',
    })
    return {
      stdout,
      widest: Math.max(
        ...stdout
          // biome-ignore lint/suspicious/noControlCharactersInRegex: these it is about
          .replaceAll(/\x1b\[\d*m|\r/g, '')
          .split('\n')
          .map((line) => line.length),
      ),
    }
  }

  test.each<[number, Record<string, string>, number]>([
    [60, {}, 60],
    [95, {}, 95],
    [200, {}, 100],
    [200, { COLUMNS: '70' }, 70],
    [70, { COLUMNS: 'wide' }, 70],
    [0, {}, 80],
  ])('on a terminal of %d columns with %j takes at most %d', async (columns, env, most) => {
    const { stdout, widest } = await onTerminal(columns, env)
    expect(widest).toBeLessThanOrEqual(most)
    expect(widest).toBeGreaterThan(most - 8)
    expect(stdout).toContain('\x1b[1mOptions:\x1b[22m')
  })
})

describe('colours', () => {
  const painted = async (words: string[], env: Record<string, string>, terminal = false) => {
    const command = [PLUGIN, ...words]
    const [file = '', ...args] = terminal ? ['script', '-qec', command.join(' '), '/dev/null'] : command
    const { stdout, stderr } = await execa(file, args, {
      env: { PATH: process.env.PATH, TERM: 'xterm', ...env },
      extendEnv: false,
      input: '',
    })
    expect(stderr).toBe('')
    return stdout.includes('\x1b[1m')
  }
  const HELP = ['plan', '--help']

  test.each<[boolean, boolean, Record<string, string>, string[]]>([
    [false, false, {}, HELP],
    [true, true, {}, HELP],
    [false, true, { TERM: 'dumb' }, HELP],
    [false, true, { NO_COLOR: '1' }, HELP],
    [true, true, { NO_COLOR: '' }, HELP],
    [true, false, { FORCE_COLOR: '1' }, HELP],
    [false, false, { FORCE_COLOR: '' }, HELP],
    [false, true, { FORCE_COLOR: '0' }, HELP],
    [false, true, { NO_COLOR: '1', FORCE_COLOR: '1' }, HELP],
    [true, false, { NO_COLOR: '1' }, [...HELP, '--color=always']],
    [true, false, { NO_COLOR: '1' }, ['--color', 'always', ...HELP]],
    [false, true, { FORCE_COLOR: '1' }, [...HELP, '--color', 'never']],
    [true, true, {}, [...HELP, '--color=auto']],
    [true, false, {}, ['--color=never', 'help', '--color=always']],
    [true, false, {}, ['validate', '--color=always', '-']],
    [true, false, {}, ['--color=always', 'validate', '-']],
  ])('%s: on a terminal %s, with %j, %j', async (colors, terminal, env, words) => {
    const shown = words.at(-1) === '-' ? await paintedVerdict(words, env) : await painted(words, env, terminal)
    expect(shown).toBe(colors)
  })

  const paintedVerdict = async (words: string[], env: Record<string, string>) => {
    const input = '{"name": "a", "cniVersion": "1.0.0", "type": "calico", "plugins": 1}'
    const { stdout } = await execa(PLUGIN, words, { env, input, reject: false })
    return stdout.includes('\x1b[1m')
  }
})

test.each([['version'], ['-V'], ['--color=never', '-V'], ['version', '--color=always']])(
  '%s says the version, as --version',
  async (...words) => {
    expect(await ok(...words)).toBe(await ok('--version'))
  },
)

describe('the manual page', () => {
  test('is plain ASCII that mandoc finds nothing wrong with but the missing date', async () => {
    expect(MAN).toMatch(/^[\n -~]*$/)
    const { stdout } = await execa('mandoc', ['-T', 'lint', '-W', 'warning'], { input: MAN, reject: false })
    // A date would be that of the build, and the same source would no more give the same bytes.
    expect(stdout).toBe('mandoc: <stdin>:1:22: WARNING: missing date, using "": TH')
  })

  test('reads like help', async () => {
    const { stdout } = await execa('mandoc', ['-T', 'ascii', '-O', 'width=100'], { input: MAN })
    // biome-ignore lint/suspicious/noControlCharactersInRegex: bold by overstriking
    const text = stdout.replaceAll(/.\x08/g, '')
    expect(text).toMatch(/^NAME\n +x-calico-route - \w/m)
    expect(text).toContain('.x-calico-route-*')
    expect(text).toMatch(/^ +-o, --output text\|json\n/m)
  })
})
