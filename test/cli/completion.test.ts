/** The completions in the shells they are for. bash and zsh on a terminal, where keys are typed as a person types them. */
import { mkdirSync } from 'node:fs'
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { scratch, tool } from './tool.ts'

const ALL = 'agent completion help install man plan repair schema uninstall validate verify version'

/** A line as it is typed, and as it becomes when all that the shell offers is put into it. */
const LINES: readonly [typed: string, becomes: string][] = [
  ['x-calico-route ', `x-calico-route ${ALL}`],
  ['x-calico-route va', 'x-calico-route validate'],
  ['./x-calico-route unin', './x-calico-route uninstall'],
  ['x-calico-route --color never ver', 'x-calico-route --color never verify version'],
  ['x-calico-route plan --netn', 'x-calico-route plan --netns'],
  ['x-calico-route plan --verb ', 'x-calico-route plan --verb ADD DEL'],
  ['x-calico-route plan --verb=D', 'x-calico-route plan --verb=DEL'],
  ['x-calico-route verify -o j', 'x-calico-route verify -o json'],
  ['x-calico-route plan ne', 'x-calico-route plan net.yaml'],
  ['x-calico-route plan a', 'x-calico-route plan a\\ b.json'],
  ['x-calico-route plan --routes ne', 'x-calico-route plan --routes net.yaml'],
  ['x-calico-route install --to ', 'x-calico-route install --to some\\ directory'],
  ['x-calico-route install --to=so', 'x-calico-route install --to=some\\ directory'],
  ['x-calico-route completion z', 'x-calico-route completion zsh'],
  ['x-calico-route help pl', 'x-calico-route help plan'],
]

/** A directory with the script of a shell, and files to complete. */
async function directoryFor(shell: string, startFile: string, start: string) {
  const { stdout: script } = await tool(['completion', shell])
  const files = scratch({ 'net.yaml': '', 'a b.json': '', '.script': script, [startFile]: start })
  mkdirSync(files.file('some directory'))
  return files
}

/** What becomes of the lines in an interactive shell, in which `insert` is the key that puts in what is offered, and Control-T shows the line. */
async function typed(directory: string, shell: string, insert: string) {
  const keys = LINES.map(([line]) => `${line}${insert}\x14`).join('')
  const { stdout } = await execa('script', ['--quiet', '--command', shell, '/dev/null'], {
    cwd: directory,
    env: { PATH: process.env.PATH, HOME: directory, ZDOTDIR: directory, TERM: 'xterm' },
    extendEnv: false,
    input: `${keys}exit\r`,
    timeout: 20_000,
  })
  return [...stdout.matchAll(/^<(.*?)\/? *>\r?$/gm)].map(([, line]) => line)
}

test('bash completes commands, options, values and files', async () => {
  using files = await directoryFor(
    'bash',
    '.bashrc',
    `source .script
    show() { printf '\\n<%s>\\n' "$READLINE_LINE"; READLINE_LINE=; }
    bind -x '"\\C-t": show'`,
  )
  expect(await typed(files.directory, 'bash --noprofile -i', '\x1b*')).toEqual(LINES.map(([, becomes]) => becomes))
})

test('zsh completes the same', async () => {
  using files = await directoryFor(
    'zsh',
    '.zshrc',
    `autoload -Uz compinit; compinit -u -D
    source ./.script
    show() { print -r -- $'\\n'"<$BUFFER>"; BUFFER= }
    zle -N show; bindkey '^T' show
    zle -C all-matches complete-word _generic; bindkey '^N' all-matches
    zstyle ':completion:*' completer _all_matches _complete
    zstyle ':completion:*' insert true`,
  )
  // An option with a value may have it after a sign, which zsh puts there.
  const here = LINES.map(([, becomes]) => becomes.replace(/ --netns$/, ' --netns='))
  expect(await typed(files.directory, 'zsh -i', '\x0e')).toEqual(here)
})

describe('fish', () => {
  test('completes the same', async () => {
    using files = await directoryFor('fish', '.start', '')
    const offers = await Promise.all(
      LINES.map(async ([line]) => {
        const { stdout } = await execa(
          'fish',
          ['--no-config', '-c', `source .script; complete --do-complete '${line}'`],
          {
            cwd: files.directory,
            env: { HOME: files.directory },
          },
        )
        const offered = stdout.split('\n').map((one) => one.replace(/\t.*/, '').replace(/\/$/, ''))
        return `${line.replace(/[^ ]*$/, '')}${offered.map((one) => one.replaceAll(' ', '\\ ')).join(' ')}`
      }),
    )
    expect(offers).toEqual(LINES.map(([, becomes]) => becomes))
  })
})

test('zsh finds it in its $fpath, as a release has it', async () => {
  using files = await directoryFor('zsh', '_none', '')
  const there = scratch({ '_x-calico-route': (await tool(['completion', 'zsh'])).stdout })
  const start = 'fpath=($1 $fpath); autoload -Uz compinit; compinit -u -D; print $_comps[x-calico-route]'
  const { stdout } = await execa('zsh', ['-f', '-c', start, 'zsh', there.directory], { cwd: files.directory })
  there[Symbol.dispose]()
  expect(stdout).toBe('_x-calico-route')
})
