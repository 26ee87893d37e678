import { SUPPORTED_VERSIONS } from '../request.ts'

/** Set by the build from package.json. */
declare const __VERSION__: string

export function version(): string {
  return `x-calico-route ${__VERSION__}\n`
}

/** What somebody sees who just starts the executable. */
export function about(): string {
  return `x-calico-route ${__VERSION__}: a CNI plugin; a container runtime calls it, after the plugin that makes the NIC.
CNI protocol versions supported: ${SUPPORTED_VERSIONS.join(', ')}
See x-calico-route --help.
`
}

export function help(): string {
  return `x-calico-route ${__VERSION__}: edits the routes of the NIC that the plugin before it made.

A container runtime calls it with CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS and CNI_IFNAME in the environment, and a
network configuration with the Result of the plugin before it on stdin. So can you:

  CNI_COMMAND=ADD CNI_CONTAINERID=byhand CNI_NETNS=/var/run/netns/NAME CNI_IFNAME=eth0 x-calico-route < conf.json

CNI_COMMAND is one of ADD, DEL, CHECK, GC, STATUS, VERSION. The answer is one JSON document on stdout; the exit status is
1 if it is an error. "dryRun": true in the configuration says what would be changed and changes nothing;
"logLevel": "debug" tells on stderr what was done.

  x-calico-route --help      this text
  x-calico-route --version   the version of the executable
`
}
