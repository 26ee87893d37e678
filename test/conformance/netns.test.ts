import { conform } from './conform.ts'
import { CNI, error, nothing, PROMISE, refused, result, SPEC, type Vector } from './vector.ts'

/** Calls the plugin with another CNI_NETNS, a shell word. */
const withNetns = (word: string, prepare = ''): string => `${prepare}CNI_NETNS=${word}; export CNI_NETNS; exec "$0"`

/** What is no network namespace, and how it is made. */
const NONE: Readonly<Record<string, { readonly shell: string; readonly differs?: string }>> = {
  'a path that does not exist': { shell: withNetns('/run/netns/no-such-pod') },
  'a path below a file': { shell: withNetns('/etc/passwd/netns') },
  'an empty file, as a deleted namespace leaves it': { shell: withNetns('"$1/file"', ': >"$1/file"; ') },
  'a directory': { shell: withNetns('"$1"') },
  'a pipe without a writer': {
    shell: withNetns('"$1/pipe"', 'mkfifo "$1/pipe"; '),
    differs: 'after a DEL, pkg/ns opens whatever it is, and waits for a writer',
  },
  'a device': { shell: withNetns('/dev/zero') },
  'a mount namespace': { shell: withNetns('/proc/self/ns/mnt') },
  'a user namespace': { shell: withNetns('/proc/self/ns/user') },
  'a symbolic link to nothing': { shell: withNetns('"$1/link"', 'ln -s nowhere "$1/link"; ') },
  'a symbolic link to itself': { shell: withNetns('"$1/link"', 'ln -s link "$1/link"; ') },
  'a word that looks like an option': { shell: withNetns('--net=/proc/1/ns/net') },
  'a shell expression': { shell: withNetns("'$(readlink /proc/1/ns/net)'") },
  'a name without its directory': { shell: withNetns('"${CNI_NETNS##*/}"') },
  'a path of 5,000 bytes': { shell: withNetns(`/${'x'.repeat(4999)}`) },
}

const none: Vector[] = Object.entries(NONE).flatMap(([name, { shell, differs }]): Vector[] => [
  {
    it: `ADD into ${name} is refused`,
    source: SPEC.parameters,
    verb: 'ADD',
    shell,
    gives: refused(4, 'CNI_NETNS'),
  },
  {
    it: `CHECK of ${name} is refused`,
    source: SPEC.check,
    verb: 'CHECK',
    shell,
    gives: refused(4, 'CNI_NETNS'),
  },
  {
    it: `DEL from ${name} has nothing to do`,
    source: SPEC.del,
    ...(differs === undefined ? {} : { differs }),
    verb: 'DEL',
    shell,
    gives: nothing,
  },
])

/** A holder of the pod's namespace, as a runtime that pins none has it. */
const HOLDER = `nsenter --net="$CNI_NETNS" sleep 60 & holder=$!
  until [ /proc/$holder/ns/net -ef "$CNI_NETNS" ]; do sleep 0.01; done
  CNI_NETNS=/proc/$holder/ns/net; export CNI_NETNS; "$0"; status=$?; kill $holder; exit $status`

const paths: Vector[] = Object.entries({
  'the path of a process': HOLDER,
  'a symbolic link': withNetns('"$1/link"', 'ln -s "$CNI_NETNS" "$1/link"; '),
  'a symbolic link to a symbolic link': withNetns('"$1/b"', 'ln -s "$CNI_NETNS" "$1/a"; ln -s a "$1/b"; '),
  'a path with a space and a quote': withNetns('"$1/a \'b"', 'ln -s "$CNI_NETNS" "$1/a \'b"; '),
  'a path with a line end': withNetns('"$1/a\nb"', 'ln -s "$CNI_NETNS" "$1/a\nb"; '),
  'a path with letters of many languages': withNetns('"$1/größe-网"', 'ln -s "$CNI_NETNS" "$1/größe-网"; '),
  'a path with dots and slashes': withNetns('"/run/../run//netns/./${CNI_NETNS##*/}"'),
  'a path from the working directory': withNetns('"./${CNI_NETNS##*/}"', 'cd "${CNI_NETNS%/*}"; '),
  'a file descriptor the runtime has left open': withNetns('/proc/self/fd/7', 'exec 7<"$CNI_NETNS"; '),
}).flatMap(([name, shell]) => [
  { it: `a namespace may be given as ${name}`, source: SPEC.parameters, verb: 'ADD', shell, gives: result() },
])

/** The plugin lives in the pod's own namespace, where a mistake cannot harm the host. */
const INSIDE = 'exec nsenter --net="$CNI_NETNS" "$0"'
const AFTERWARDS = 'pkg/skel looks only when the verb has done its work, and prints an error after a Result'

const own: Vector[] = [
  {
    it: "ADD into the plugin's own namespace is refused",
    source: CNI.types,
    differs: AFTERWARDS,
    verb: 'ADD',
    shell: INSIDE,
    gives: error(8, 'CNI_NETNS'),
  },
  {
    it: "DEL from the plugin's own namespace is refused",
    source: CNI.types,
    verb: 'DEL',
    shell: INSIDE,
    gives: error(8, 'CNI_NETNS'),
  },
  {
    it: "the plugin's own namespace is recognised under another path",
    source: CNI.types,
    verb: 'DEL',
    shell: 'exec nsenter --net="$CNI_NETNS" env CNI_NETNS=/proc/self/ns/net "$0"',
    gives: error(8, 'CNI_NETNS'),
  },
  {
    it: "ADD into the plugin's own namespace is refused before any change",
    source: PROMISE,
    verb: 'ADD',
    conf: { defaultRoute: 'remove', routes: [{ dst: '10.50.0.0/16' }] },
    shell: INSIDE,
    gives: error(8, 'CNI_NETNS'),
  },
  {
    it: "DEL from the plugin's own namespace is refused before any change",
    source: PROMISE,
    after: [{ ip: 'route add 10.50.0.0/16 dev eth0 proto 142' }],
    verb: 'DEL',
    shell: INSIDE,
    gives: error(8, 'CNI_NETNS'),
  },
  {
    it: "CHECK may look at the plugin's own namespace",
    source: CNI.skel,
    verb: 'CHECK',
    shell: INSIDE,
    gives: nothing,
  },
  ...['1', 'true', 'TRUE', 'True'].flatMap((value) =>
    ['ADD', 'DEL'].map(
      (verb): Vector => ({
        it: `${verb} into the plugin's own namespace is allowed by CNI_NETNS_OVERRIDE=${value}`,
        source: CNI.skel,
        verb,
        env: { CNI_NETNS_OVERRIDE: value },
        shell: INSIDE,
        gives: verb === 'ADD' ? result() : nothing,
      }),
    ),
  ),
  ...['', '0', 'yes', 'false', ' 1'].map(
    (value): Vector => ({
      it: `DEL from the plugin's own namespace is not allowed by CNI_NETNS_OVERRIDE=${JSON.stringify(value)}`,
      source: CNI.skel,
      verb: 'DEL',
      env: { CNI_NETNS_OVERRIDE: value },
      shell: INSIDE,
      gives: error(8, 'CNI_NETNS'),
    }),
  ),
]

const gone: Vector[] = [
  {
    it: 'DEL from a namespace that is gone makes no file in its place',
    source: SPEC.del,
    verb: 'DEL',
    shell: 'CNI_NETNS="$1/gone"; export CNI_NETNS; "$0" && ! test -e "$1/gone"',
    gives: nothing,
  },
  {
    it: 'DEL without CNI_NETNS has nothing to do',
    source: SPEC.del,
    verb: 'DEL',
    env: { CNI_NETNS: undefined },
    gives: nothing,
  },
  {
    it: 'DEL with an empty CNI_NETNS has nothing to do, as containerd repeats it',
    source: SPEC.del,
    verb: 'DEL',
    env: { CNI_NETNS: '' },
    gives: nothing,
  },
]

conform('network namespace', [...none, ...paths, ...own, ...gone])
