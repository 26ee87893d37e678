import { conform } from './conform.ts'
import { CNI, either, error, nothing, openPipe, PIPE, PROMISE, result, SPEC, type Vector } from './vector.ts'

const bytes = (...parts: (string | readonly number[])[]): Uint8Array =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))))

const MIB = 1024 * 1024
const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`
/** The configuration with one more member, written first. */
const with1st = (member: string) => (conf: string) => conf.replace('{', `{${member},`)
/** The same, written last. */
const withLast = (member: string) => (conf: string) => conf.replace(/\}$/, `,${member}}`)

/** Exactly one JSON object, and nothing else. */
const documents: Vector[] = Object.entries<Vector['stdin']>({
  'nothing at all': '',
  'white space only': ' \n\t\r\n',
  'half a document': (conf) => conf.slice(0, conf.length / 2),
  'a document without its last brace': (conf) => conf.slice(0, -1),
  'a byte order mark before the document': (conf) => `\uFEFF${conf}`,
  'a word after the document': (conf) => `${conf}x`,
  'a brace after the document': (conf) => `${conf}}`,
  'two documents': (conf) => `${conf}\n${conf}`,
  'a NUL after the document': (conf) => `${conf}\0`,
  'a NUL before the document': (conf) => `\0${conf}`,
  'UTF-16': (conf) => Buffer.from(conf, 'utf16le'),
  'single quotes': (conf) => conf.replaceAll('"', "'"),
  'a comment': (conf) => `// by hand\n${conf}`,
  'a comma before the last brace': (conf) => conf.replace(/\}$/, ',}'),
  NaN: with1st('"x":NaN'),
  'a number with a leading zero': with1st('"x":010'),
  'a line end within a string': with1st('"x":"a\nb"'),
  'an array': (conf) => `[${conf}]`,
  'a string': '"x-calico-route"',
  'a number': '42',
  true: 'true',
  '10,000 open brackets': '['.repeat(10_000),
  'a byte that is no UTF-8, outside strings': (conf) => bytes(conf, [0xff]),
}).map(([name, stdin = '']) => ({
  it: `stdin with ${name} is not decoded`,
  source: CNI.skel,
  verb: 'ADD',
  stdin,
  gives: error(6),
}))

const verbs: Vector[] = [
  ...['CHECK', 'DEL', 'GC', 'STATUS'].map(
    (verb): Vector => ({
      it: `${verb} refuses what is not JSON as ADD does`,
      source: CNI.skel,
      verb,
      stdin: 'x',
      gives: error(6),
    }),
  ),
  { it: 'null is no configuration', source: SPEC.configuration, verb: 'ADD', stdin: 'null', gives: error([6, 7]) },
  ...['null', '[]', '"text"', '{}'].map(
    (stdin): Vector => ({
      it: `DEL takes ${stdin} for a configuration that says nothing`,
      source: PROMISE,
      verb: 'DEL',
      stdin,
      gives: nothing,
    }),
  ),
]

const encodings: Vector[] = [
  ...Object.entries({
    'a byte that begins no character': [0xff],
    'half a character': [0xc3],
    'an overlong slash': [0xc0, 0xaf],
    'an encoded surrogate': [0xed, 0xa0, 0x80],
  }).map(
    ([name, wrong]): Vector => ({
      it: `a string with ${name} is not decoded, never silently changed`,
      source: PROMISE,
      verb: 'ADD',
      stdin: (conf) => bytes('{"comment":"', wrong, `",${conf.slice(1)}`),
      gives: error(6),
    }),
  ),
  {
    it: 'white space around the document says nothing',
    source: CNI.skel,
    verb: 'ADD',
    stdin: (conf) => ` \r\n\t${conf}\r\n \n`,
    gives: result(),
  },
  {
    it: 'keys may be written with escapes',
    source: CNI.skel,
    verb: 'ADD',
    conf: { name: undefined },
    stdin: with1st('"\\u006eame":"net"'),
    gives: result(),
  },
  {
    it: 'characters beyond the first plane, written out or escaped, are no problem',
    source: CNI.skel,
    verb: 'ADD',
    stdin: with1st('"comment":"\u{1F980} \\ud83e\\udd80 \\u0000"'),
    gives: result(),
  },
]

const keys: Vector[] = [
  {
    it: 'of two equal keys the last counts: a supported version',
    source: CNI.decodeVersion,
    verb: 'ADD',
    stdin: with1st('"cniVersion":"9.9.9"'),
    gives: result(),
  },
  {
    it: 'of two equal keys the last counts: an unsupported version',
    source: CNI.decodeVersion,
    verb: 'ADD',
    stdin: withLast('"cniVersion":"9.9.9"'),
    gives: error(1),
  },
  {
    it: 'of two equal keys the last counts: a network name',
    source: CNI.skel,
    verb: 'ADD',
    stdin: withLast('"name":"-x"'),
    gives: error(7, 'name'),
  },
  ...Object.entries({
    args: { cni: { ips: ['10.1.2.3'] }, labels: [{ key: 'app', value: 'myapp' }] },
    runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] },
    'cni.dev/unheard-of': { anything: [1, null] },
  }).map(
    ([key, value]): Vector => ({
      it: `${key} is the runtime's and may hold what does not concern the plugin`,
      source: SPEC.pluginObjects,
      verb: 'ADD',
      conf: { [key]: value },
      gives: result(),
    }),
  ),
  {
    it: 'unknown keys of the configuration are ignored',
    source: PROMISE,
    verb: 'ADD',
    conf: {
      comment: 'by hand',
      capabilities: { mac: true },
      ipam: { type: 'host-local' },
      dns: 5,
      '': null,
      'a.b': [],
    },
    gives: result(),
  },
  {
    it: 'a key __proto__ is a key as any other',
    source: PROMISE,
    verb: 'ADD',
    conf: { name: undefined },
    stdin: with1st('"__proto__":{"name":"net","cniVersion":"1.0.0"}'),
    gives: error(7, 'name'),
  },
  {
    it: 'keys that every JavaScript object has are unknown keys',
    source: PROMISE,
    verb: 'ADD',
    stdin: with1st('"constructor":{"prototype":{"dryRun":true}},"toString":1,"hasOwnProperty":null,"toJSON":"x"'),
    gives: result(),
  },
]

const names: Vector[] = [
  {
    it: 'a network without a name is refused',
    source: CNI.skel,
    verb: 'ADD',
    conf: { name: undefined },
    gives: error(7, 'name'),
  },
  {
    it: 'an empty network name is refused',
    source: CNI.skel,
    verb: 'ADD',
    conf: { name: '' },
    gives: error(7, 'name'),
  },
  { it: 'a network name null is none', source: CNI.skel, verb: 'ADD', conf: { name: null }, gives: error(7, 'name') },
  {
    it: 'a network name that is a number is refused',
    source: CNI.skel,
    verb: 'ADD',
    conf: { name: 5 },
    gives: error([6, 7], 'name'),
  },
  ...['-x', '.x', 'a/b', 'a b', 'a\n', 'netz-für-vms', '../../etc'].map(
    (name): Vector => ({
      it: `network name ${JSON.stringify(name)} is refused`,
      source: SPEC.configuration,
      verb: 'ADD',
      conf: { name },
      gives: error(7, 'name'),
    }),
  ),
  {
    it: 'network name "0a._-Z" is fine',
    source: SPEC.configuration,
    verb: 'ADD',
    conf: { name: '0a._-Z' },
    gives: result(),
  },
  ...['CHECK', 'GC', 'STATUS'].map(
    (verb): Vector => ({
      it: `${verb} needs the network name as well`,
      source: CNI.skel,
      verb,
      conf: { cniVersion: '1.1.0', name: undefined },
      gives: error(7, 'name'),
    }),
  ),
]

const sizes: Vector[] = [
  {
    it: 'an unknown key 1,000 arrays deep is ignored',
    source: CNI.skel,
    verb: 'ADD',
    stdin: with1st(`"x":${deep(1_000)}`),
    gives: result(),
  },
  ...[10_000, 1_000_000].map(
    (depth): Vector => ({
      it: `an unknown key ${depth} arrays deep is ignored or not decoded`,
      source: CNI.skel,
      verb: 'ADD',
      stdin: with1st(`"x":${deep(depth)}`),
      gives: either(result(), error(6)),
    }),
  ),
  {
    it: '15 MiB are read to their end',
    source: PROMISE,
    verb: 'ADD',
    stdin: withLast(`"x":"${'a'.repeat(15 * MIB)}"`),
    gives: result(),
  },
  {
    it: '64 MiB are too much, and said to be so',
    source: PROMISE,
    verb: 'ADD',
    stdin: withLast(`"x":"${'a'.repeat(64 * MIB)}"`),
    gives: error(5, /16 MiB/),
  },
  {
    it: '64 MiB through a pipe are too much as well',
    source: PROMISE,
    verb: 'DEL',
    stdin: ' '.repeat(64 * MIB),
    shell: PIPE,
    gives: error(5, /16 MiB/),
  },
  {
    it: 'a stdin that never ends is not read for ever',
    source: PROMISE,
    verb: 'ADD',
    shell: 'exec "$0" </dev/zero',
    gives: error(5, /16 MiB/),
  },
]

/** How the bytes arrive is the runtime's choice. */
const channels: Vector[] = [
  { it: 'stdin may be a pipe', source: SPEC.add, verb: 'ADD', shell: PIPE, gives: result() },
  {
    it: 'stdin may be a file',
    source: SPEC.add,
    verb: 'ADD',
    shell: 'cat >"$1/conf"; exec "$0" <"$1/conf"',
    gives: result(),
  },
  {
    it: 'stdin may arrive byte by byte',
    source: SPEC.add,
    verb: 'ADD',
    shell: 'dd bs=1 status=none | exec "$0"',
    gives: result(),
  },
  {
    it: 'stdin may arrive long after the start',
    source: SPEC.add,
    verb: 'ADD',
    shell: '{ sleep 0.5; cat; } | exec "$0"',
    gives: result(),
  },
  {
    it: 'stdin may arrive in two parts, with a pause within a character',
    source: SPEC.add,
    verb: 'ADD',
    stdin: (conf) => `${'  '.repeat(100)}{"comment":"gefäß",${conf.slice(1)}`,
    shell: '{ dd bs=1 count=216 status=none; sleep 0.3; cat; } | exec "$0"',
    gives: result(),
  },
  {
    it: 'stdin may be non-blocking, and empty for now',
    source: SPEC.add,
    verb: 'ADD',
    shell: `mkfifo "$1/pipe"; exec 8<&0; { sleep 0.3; cat <&8; } >"$1/pipe" & exec perl -MFcntl -e '
      open STDIN, "<", "$ARGV[1]/pipe"; fcntl STDIN, F_SETFL, O_RDONLY | O_NONBLOCK; exec $ARGV[0]' "$0" "$1"`,
    gives: result(),
  },
  // A runtime that forgets to close it keeps a slot of the gate no longer.
  ...['ADD', 'DEL'].flatMap((verb): Vector[] => [
    {
      it: `${verb} waits no longer than 10 s for the end of stdin, which is a pipe`,
      source: PROMISE,
      verb,
      shell: openPipe('{"cniVersion":"1.0.0","name":"net"}'),
      gives: error(5, /^stdin: timed out after 10 s; the runtime must close it after the network configuration$/),
    },
    {
      it: `${verb} waits no longer than 10 s for the end of stdin, which is a socket`,
      source: PROMISE,
      verb,
      stays: true,
      gives: error(5, /^stdin: timed out after 10 s; the runtime must close it after the network configuration$/),
    },
  ]),
  {
    it: 'ADD waits no longer than 10 s for the end of a non-blocking pipe that it may not open again',
    source: PROMISE,
    verb: 'ADD',
    shell: `sleep 30 | exec perl -MFcntl -e 'fcntl STDIN, F_SETFL, O_RDONLY | O_NONBLOCK; exec @ARGV' setpriv --reuid 65534 --clear-groups "$0"`,
    gives: error(5, /^stdin: timed out after 10 s; the runtime must close it after the network configuration$/),
  },
  {
    it: 'stdin from /dev/null holds no configuration',
    source: CNI.skel,
    verb: 'ADD',
    shell: 'exec "$0" </dev/null',
    gives: error(6),
  },
  // Both Node and Go put /dev/null where 0, 1 or 2 is closed, so that a plugin cannot tell.
  {
    it: 'stdin that is closed is an error',
    source: SPEC.error,
    verb: 'ADD',
    shell: 'exec "$0" <&-',
    gives: error([5, 6]),
  },
  ...['ADD', 'CHECK', 'DEL', 'GC', 'STATUS'].map(
    (verb): Vector => ({
      it: `${verb} says that a directory cannot be read from`,
      source: SPEC.error,
      verb,
      shell: 'exec "$0" </',
      gives: error(5),
    }),
  ),
  {
    it: 'stdin open for writing only cannot be read from',
    source: SPEC.error,
    verb: 'ADD',
    shell: 'exec "$0" 0>"$1/file"',
    gives: error(5),
  },
]

conform('stdin', [...documents, ...verbs, ...encodings, ...keys, ...names, ...sizes, ...channels])
