import type { Definition } from './usage/definition.ts'

/** The executable itself, before the name of a command. */
export const ROOT = {
  name: '',
  summary: 'edit the routes of a NIC that the previous CNI plugin made',
  usage: ['COMMAND …', 'COMMAND --help'],
  about: [
    'A container runtime calls it without arguments, with CNI_COMMAND (ADD, DEL, CHECK, GC, STATUS or VERSION), CNI_CONTAINERID, CNI_NETNS and CNI_IFNAME in the environment, and with a network configuration on stdin that has the Result of the previous plugin. It prints one JSON document; the exit status is 1 if that is an error. You can do the same by hand, see the example. With "dryRun": true in the configuration it says what it would change, and changes nothing. With "logLevel": "debug" it tells on stderr what it did.',
  ],
  options: { version: { short: 'V', about: 'Print the version of the executable.' } },
  environment: [
    ['NO_COLOR', 'If set and not empty, print no colours. --color comes first.'],
    ['FORCE_COLOR', 'If set, print colours in a pipe too; none if it is 0 or false. NO_COLOR comes first.'],
    ['COLUMNS', 'How wide help may be on a terminal. The terminal knows it otherwise.'],
  ],
  exit: [
    ['0', 'Done, and all is well.'],
    ['1', 'Done, and the answer is bad: problems in a file, a pod that differs.'],
    ['2', 'Not done: a wrong argument, an unreadable file, a namespace that is gone.'],
  ],
  examples: [
    'x-calico-route validate /etc/cni/net.d',
    'CNI_COMMAND=ADD CNI_CONTAINERID=byhand CNI_IFNAME=eth0 \\\n  CNI_NETNS=/var/run/netns/NAME x-calico-route < conf.json',
  ],
} as const satisfies Definition
