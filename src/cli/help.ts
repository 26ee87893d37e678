import type { Command } from './command.ts'

/** Set by the build from package.json. */
declare const __VERSION__: string

export function version(): string {
  return `x-calico-route ${__VERSION__}\n`
}

export function help(commands: Readonly<Record<string, Command>>): string {
  const list = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}\n`)
  return `x-calico-route ${__VERSION__}: edits the routes of the NIC that the plugin before it made.

Usage: x-calico-route COMMAND …

${list.join('')}
  x-calico-route COMMAND --help    about one of them
  x-calico-route --help            this text
  x-calico-route --version         the version of the executable

A container runtime calls it without words, with CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS and CNI_IFNAME in the environment,
and a network configuration with the Result of the plugin before it on stdin. So can you:

  CNI_COMMAND=ADD CNI_CONTAINERID=byhand CNI_NETNS=/var/run/netns/NAME CNI_IFNAME=eth0 x-calico-route < conf.json

CNI_COMMAND is one of ADD, DEL, CHECK, GC, STATUS, VERSION. The answer is one JSON document on stdout; the exit status is
1 if it is an error. "dryRun": true in the configuration says what would be changed and changes nothing;
"logLevel": "debug" tells on stderr what was done.
`
}
