import { Exit, Trouble } from '../command.ts'
import { untilSignal } from '../stay.ts'
import { makeTurns } from '../turns.ts'
import { define } from '../usage/define.ts'
import type { Definition, Given } from '../usage/definition.ts'
import { FOUND_DIRECTORY, PluginDirectory } from './find-directory.ts'
import { AT_ONCE, MAX_AT_ONCE } from './gate.ts'
import { checkInstalled } from './install-check.ts'
import { installInto, SELF_CONTAINED } from './install-into.ts'

/** How the plugin is laid out and asked, for all commands that install it. */
export const LAYOUT = {
  'at-once': {
    value: 'N',
    about: `How many calls at once the gate lets through, 1 to ${MAX_AT_ONCE}. The default is that of the gate that is there, else ${AT_ONCE}. The others wait for about 60 s at most, and take half a megabyte each. VERSION and STATUS never wait.`,
  },
  'no-gate': {
    about: 'Make DIR/x-calico-route the executable itself. If a gate is there, open it instead: then no call waits.',
  },
  'self-contained': {
    words: SELF_CONTAINED,
    default: 'auto',
    without: 'always',
    about:
      'Lay a loader, libraries, a shell, flock, nsenter and ip beside the executable, which then needs nothing of the node but its kernel. Only the image has them. It needs --host-root. auto: if the plugin does not answer on the node without them, or the node has no /bin/sh for the gate; without --host-root, never. The option without a value means always.',
  },
  'no-status': {
    about:
      'Do not call STATUS, which fails if the node lacks a tool that ADD needs, or if this process lacks a capability.',
  },
} as const

const DEFINITION = {
  name: 'install',
  summary: 'put this executable where the container runtime looks for plugins',
  usage: [
    '[--to DIR] [--host-root DIR] [--at-once N | --no-gate] [--self-contained[=WHEN]] [--no-status] [--force]',
    '--check [--to DIR] [--host-root DIR] [--no-status]',
  ],
  about: [
    'Copy this executable into DIR under a hidden name, and make DIR/x-calico-route its gate: a shell script that lets only a few calls at once become the executable. Each call takes some 12 MiB for Node.js, and many pods that start at once would take more memory than the cgroup of their plugins has.',
    'The copy is compared with the original, and must answer VERSION and STATUS on this node through the gate. Then the gate replaces what is there, in one step: a runtime that calls the plugin meanwhile runs either the old one or the new one. If anything fails, the old one stays. Nothing is run or written if anybody but root can change DIR, or a directory on the path to it.',
    'An install that is killed leaves a file `.x-calico-route.*.tmp` in DIR. The next install removes it when it is 10 minutes old. It also removes the executable of the previous version, `.x-calico-route-*`, after 10 minutes: until then calls may wait at its gate.',
  ],
  options: {
    to: {
      value: 'DIR',
      completes: 'directory',
      about: FOUND_DIRECTORY,
    },
    'host-root': {
      value: 'DIR',
      completes: 'directory',
      about:
        "In a container: where the node's root directory is mounted. --to is a path below it, and the new plugin is called in it, so that it finds the libraries and tools of the node, not those of the image. Needs CAP_SYS_CHROOT.",
    },
    ...LAYOUT,
    check: {
      about:
        'Change nothing. Say whether the plugin in DIR, of any version, answers VERSION and STATUS when it is called as a runtime does.',
    },
    force: { about: 'Replace DIR/x-calico-route even if it is another program.' },
  },
  exit: [
    ['0', 'The plugin is installed; with --check, it answers.'],
    ['2', 'Nothing was changed; with --check, the plugin does not answer.'],
  ],
  examples: ['x-calico-route install', 'x-calico-route install --check'],
} as const satisfies Definition

export const install = define(DEFINITION, async ({ options: given }, terminal) => {
  const signal = untilSignal()
  const layout = layoutOf(given)
  const options = { ...layout, status: !given['no-status'], force: given.force, signal }
  const directory = new PluginDirectory('--to', given.to, given['host-root'], (line) => terminal.err(`${line}\n`))
  if (given.check) {
    const other =
      given['self-contained'] === 'auto'
        ? (['force', 'at-once', 'no-gate'] as const).find((name) => given[name])
        : 'self-contained'
    if (other !== undefined) throw new Trouble(`--check: installs nothing; leave out --${other}`)
    const checked = await directory.place()
    terminal.out(`${checked.file}: ${await checkInstalled(checked, options.status, signal)} answers\n`)
    return Exit.ok
  }
  if (!options.status) terminal.err('STATUS: not called, so ADD may fail on this node\n')
  await installInto(await directory.writablePlace(), options, terminal)
  makeTurns(given['host-root'] ?? '/')
  return Exit.ok
})

type GivenLayout = Given<typeof LAYOUT>['options']

/** @throws Trouble for options that contradict each other */
export function layoutOf(given: GivenLayout) {
  const selfContained = given['self-contained']
  const layout = { atOnce: atOnceOf(given['at-once']), gate: !given['no-gate'], selfContained }
  if (layout.atOnce !== undefined && !layout.gate)
    throw new Trouble('--at-once: has no effect with --no-gate; leave out one of them')
  return layout
}

function atOnceOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const atOnce = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (atOnce >= 1 && atOnce <= MAX_AT_ONCE) return atOnce
  throw new Trouble(`--at-once: ${JSON.stringify(text)} is not a number from 1 to ${MAX_AT_ONCE}`)
}
