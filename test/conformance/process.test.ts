import { conform } from './conform.ts'
import { either, error, failure, nothing, PROMISE, result, SPEC, type Vector, version } from './vector.ts'

const CHANGE = { defaultRoute: 'remove', routes: [{ dst: '10.50.0.0/16' }] }
const CHANGED = [
  '169.254.1.1 dev eth0 scope link',
  'fd00:10:199::153 dev eth0 proto kernel metric 256',
  '10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
]

/** Where the answer goes. */
const streams: Vector[] = [
  {
    it: 'a Result that cannot be written is a failure',
    source: SPEC.errors,
    verb: 'ADD',
    shell: 'exec "$0" >/dev/full',
    gives: failure,
  },
  {
    it: 'an error that cannot be written is a failure as well',
    source: SPEC.errors,
    verb: 'ADD',
    conf: { cniVersion: '9.9.9' },
    shell: 'exec "$0" >/dev/full',
    gives: failure,
    logs: /(?:)/,
  },
  {
    it: 'stdout may be closed',
    source: SPEC.errors,
    verb: 'ADD',
    shell: 'exec "$0" >&-',
    // Both Node and Go put /dev/null there, so that a plugin cannot tell.
    gives: either(nothing, failure),
  },
  { it: 'stderr may be closed', source: SPEC.add, verb: 'ADD', shell: 'exec "$0" 2>&-', gives: result() },
  {
    it: 'stderr may be closed while routes are changed',
    source: PROMISE,
    verb: 'ADD',
    conf: CHANGE,
    shell: 'exec "$0" 2>&-',
    gives: result(),
    leaves: CHANGED,
  },
  {
    it: 'records that cannot be written to stderr fail no call',
    source: PROMISE,
    verb: 'ADD',
    conf: { ...CHANGE, logLevel: 'debug' },
    shell: 'exec "$0" 2>/dev/full',
    gives: result(),
    leaves: CHANGED,
  },
  {
    it: 'DEL needs neither stdout nor stderr',
    source: SPEC.del,
    verb: 'DEL',
    shell: 'exec "$0" >&- 2>&-',
    gives: nothing,
  },
  {
    it: 'VERSION may have a slow reader',
    source: SPEC.version,
    verb: 'VERSION',
    shell: '"$0" | { sleep 0.3; cat; }',
    gives: version(),
  },
]

/** What a process inherits besides. */
const inherited: Vector[] = [
  {
    it: 'the working directory may be gone',
    source: PROMISE,
    verb: 'ADD',
    conf: CHANGE,
    shell: 'mkdir "$1/gone"; cd "$1/gone"; rmdir "$1/gone"; exec "$0"',
    gives: result(),
    leaves: CHANGED,
  },
  {
    it: 'files may be forbidden to grow',
    source: PROMISE,
    verb: 'ADD',
    conf: CHANGE,
    shell: 'ulimit -f 0; exec "$0"',
    gives: result(),
    leaves: CHANGED,
  },
  {
    it: 'signals may be ignored',
    source: PROMISE,
    verb: 'ADD',
    conf: CHANGE,
    shell: 'trap \'\' PIPE CHLD HUP INT TERM; exec "$0"',
    gives: result(),
    leaves: CHANGED,
  },
  {
    it: 'more file descriptors may be open',
    source: PROMISE,
    verb: 'ADD',
    conf: CHANGE,
    shell: 'exec 3</ 4>"$1/x" 5</dev/zero 6<"$CNI_NETNS" 9</; exec "$0"',
    gives: result(),
    leaves: CHANGED,
  },
  {
    it: 'the plugin may be called by a relative path',
    source: PROMISE,
    verb: 'ADD',
    conf: CHANGE,
    shell: 'cd "${0%/*}"; exec "./${0##*/}"',
    gives: result(),
    leaves: CHANGED,
  },
  {
    it: 'the plugin may be called through a symbolic link of another name',
    source: PROMISE,
    verb: 'ADD',
    conf: CHANGE,
    shell: 'ln -s "$0" "$1/other"; exec "$1/other"',
    gives: result(),
    leaves: CHANGED,
  },
]

/** An attachment of the pod's second NIC, which a runtime may make at the same time as the one of eth0. */
const NET1 = {
  verb: 'ADD',
  env: { CNI_IFNAME: 'net1' },
  conf: { defaultRoute: 'remove', routes: [{ dst: '10.60.0.0/16', scope: 'link' }] },
}

const concurrent: Vector[] = [
  {
    it: 'VERSIONs at the same time are all answered',
    source: SPEC.lifecycle,
    verb: 'VERSION',
    alongside: Array.from({ length: 7 }, () => ({ verb: 'VERSION' })),
    gives: version(),
  },
  {
    it: 'ADDs that change nothing succeed at the same time',
    source: SPEC.lifecycle,
    verb: 'ADD',
    alongside: Array.from({ length: 7 }, (_, i) => ({ verb: 'ADD', env: { CNI_CONTAINERID: `another-${i}` } })),
    gives: result(),
  },
  {
    it: 'equal ADDs at the same time all succeed',
    source: PROMISE,
    verb: 'ADD',
    conf: CHANGE,
    alongside: Array.from({ length: 5 }, () => ({ verb: 'ADD', conf: CHANGE })),
    gives: result(),
    leaves: CHANGED,
  },
  {
    it: 'two NICs of one pod are attached at the same time',
    source: PROMISE,
    after: [
      {
        ip: 'link add net1 type veth peer name peer1\nlink set net1 up\nlink set peer1 up\nroute add 0.0.0.0/0 dev net1 metric 9',
      },
    ],
    verb: 'ADD',
    conf: CHANGE,
    alongside: [NET1],
    gives: result(),
    leaves: [...CHANGED, '10.60.0.0/16 dev net1 proto 142 scope link'],
  },
  {
    it: 'one NIC is attached while another is detached',
    source: PROMISE,
    after: [
      {
        ip: 'link add net1 type veth peer name peer1\nlink set net1 up\nlink set peer1 up\nroute add 0.0.0.0/0 dev net1 metric 9',
      },
      NET1,
    ],
    verb: 'ADD',
    conf: CHANGE,
    alongside: [{ verb: 'DEL', env: { CNI_IFNAME: 'net1' } }],
    gives: result(),
    leaves: CHANGED,
  },
]

const record = (level: string) => new RegExp(`^\\{.*"level":"${level}"`)

const logs: Vector[] = [
  {
    it: 'at level debug, records go to stderr, one JSON object a line, and the Result stays alone on stdout',
    source: PROMISE,
    verb: 'ADD',
    conf: { ...CHANGE, logLevel: 'debug' },
    gives: result(),
    leaves: CHANGED,
    logs: record('(debug|info)'),
  },
  {
    it: 'an error is told on stdout, at level error with nothing more than a record on stderr',
    source: PROMISE,
    verb: 'ADD',
    conf: { routes: 5, logLevel: 'error' },
    gives: error(7, 'routes'),
  },
  ...Object.entries({
    'in a directory that does not exist': { file: '/nonexistent/x.log' },
    'that is a directory': { file: '/tmp' },
    'that is a device': { file: '/dev/full' },
    'that is in /proc': { file: '/proc/1/x.log' },
  }).map(
    ([what, { file }]): Vector => ({
      it: `a log file ${what} fails no ADD, but is told`,
      source: PROMISE,
      verb: 'ADD',
      conf: { ...CHANGE, logFile: file },
      gives: result(),
      leaves: CHANGED,
      logs: record('warn'),
    }),
  ),
  ...Object.entries({
    'a symbolic link, which is not followed': 'ln -s target "$1/x.log"; "$0" && ! test -e "$1/target"',
    'a pipe without a reader': 'mkfifo "$1/x.log"; exec "$0"',
  }).map(
    ([what, shell]): Vector => ({
      it: `a log file may turn out to be ${what}`,
      source: PROMISE,
      verb: 'ADD',
      // The configuration cannot know the directory: it is mounted where it can.
      stdin: (conf) => conf.replace('{', '{"logFile":"/mnt/x.log",'),
      shell: `exec unshare --mount sh -c 'mount --bind "$1" /mnt; ${shell.replaceAll('"$1/', '"/mnt/')}' "$0" "$1"`,
      gives: result(),
      logs: record('warn'),
    }),
  ),
  {
    it: 'a log file gets one record a line, and stderr nothing',
    source: PROMISE,
    verb: 'ADD',
    stdin: (conf) => conf.replace('{', '{"logFile":"/mnt/x.log",'),
    shell: `exec unshare --mount sh -c 'mount --bind "$1" /mnt; "$0" && grep -q "^{.*}$" /mnt/x.log && ! grep -qv "^{.*}$" /mnt/x.log' "$0" "$1"`,
    gives: result(),
  },
  {
    it: 'a log file is added to, never begun anew',
    source: PROMISE,
    verb: 'DEL',
    stdin: (conf) => conf.replace('{', '{"logFile":"/mnt/x.log",'),
    shell: `exec unshare --mount sh -c 'mount --bind "$1" /mnt; echo before >/mnt/x.log; "$0" && head -n 1 /mnt/x.log | grep -qx before' "$0" "$1"`,
    gives: nothing,
  },
]

conform('process', [...streams, ...inherited, ...concurrent, ...logs])
