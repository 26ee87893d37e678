import type { Definition } from './usage/definition.ts'

/** The executable itself, before the name of a command. */
export const ROOT = {
  name: '',
  summary: 'edit the routes of a NIC that the previous CNI plugin made',
  usage: ['COMMAND …', 'COMMAND --help'],
  about: [
    'A container runtime calls it without arguments. CNI_COMMAND (ADD, DEL, CHECK, GC, STATUS or VERSION), CNI_CONTAINERID, CNI_NETNS and CNI_IFNAME are in the environment, and stdin is a network configuration with the Result of the previous plugin. It prints one JSON document; if that is an error, the exit status is 1. You can call it by hand in the same way, see the example. With "dryRun": true in the configuration it logs what it would change, and changes nothing. With "logLevel": "debug" it logs to stderr what it does.',
  ],
  options: { version: { short: 'V', about: 'Print the version of the executable.' } },
  environment: [
    ['NO_COLOR', 'If set and not empty, print no colours. --color overrides it.'],
    ['FORCE_COLOR', 'If set, print colours even to a pipe; if it is 0 or false, print none. NO_COLOR overrides it.'],
    ['COLUMNS', 'The width of help on a terminal. The default is the width of the terminal.'],
  ],
  exit: [
    ['0', 'Done, and all is well.'],
    ['1', 'Done, and the answer is bad: a file has problems, or a pod differs.'],
    ['2', 'Not done: an argument is wrong, a file cannot be read, or a network namespace is gone.'],
  ],
  examples: [
    'x-calico-route validate /etc/cni/net.d',
    'CNI_COMMAND=ADD CNI_CONTAINERID=byhand CNI_IFNAME=eth0 \\\n  CNI_NETNS=/var/run/netns/NAME x-calico-route < conf.json',
  ],
} as const satisfies Definition
