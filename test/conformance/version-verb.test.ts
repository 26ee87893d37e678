import { conform } from './conform.ts'
import { CNI, openPipe, PIPE, PROMISE, SPEC, VERSIONS, type Vector, version } from './vector.ts'

const ASKED = '{"cniVersion":"1.0.0"}'
const MIB = 1024 * 1024
/** Long enough for a busy machine and for qemu, too short for anybody who waits for stdin. */
const AT_ONCE = 9_000

const inVersion: Vector[] = [
  ...VERSIONS.map(
    (cniVersion): Vector => ({
      it: `VERSION asked with nothing but ${cniVersion} is answered in it`,
      source: SPEC.versionResult,
      ...(cniVersion === '1.1.0' ? {} : { differs: 'pkg/version prints its newest, whatever the caller speaks' }),
      verb: 'VERSION',
      stdin: JSON.stringify({ cniVersion }),
      gives: version(cniVersion),
    }),
  ),
  {
    it: 'VERSION through a pipe is answered in the version asked',
    source: SPEC.versionResult,
    differs: 'pkg/version prints its newest, whatever the caller speaks',
    verb: 'VERSION',
    stdin: ASKED,
    shell: PIPE,
    gives: version('1.0.0'),
  },
  {
    it: "VERSION takes libcni's dummies for variables",
    source: CNI.invoke,
    verb: 'VERSION',
    stdin: '{"cniVersion":"1.1.0"}',
    env: { CNI_CONTAINERID: '', CNI_NETNS: 'dummy', CNI_IFNAME: 'dummy', CNI_ARGS: '', CNI_PATH: 'dummy' },
    gives: version('1.1.0'),
  },
  {
    it: 'VERSION does not mind invalid variables',
    source: CNI.skel,
    verb: 'VERSION',
    stdin: ASKED,
    env: { CNI_CONTAINERID: '-x', CNI_NETNS: '/nowhere', CNI_IFNAME: 'far/too/long/and/with/slashes' },
    gives: version(),
  },
  ...['9.9.9', '0.2.0', 'banana', '', 5, null, ['1.0.0']].map(
    (cniVersion): Vector => ({
      it: `VERSION asked with ${JSON.stringify(cniVersion)} names versions all the same`,
      source: SPEC.version,
      verb: 'VERSION',
      stdin: JSON.stringify({ cniVersion }),
      gives: version(),
    }),
  ),
]

/** The reference does not read stdin at all, so nothing there can be a reason not to answer. */
const anything: Vector[] = Object.entries<Vector['stdin']>({
  nothing: '',
  'no object': '["1.0.0"]',
  null: 'null',
  'no JSON': 'cniVersion: 1.0.0',
  'two documents': `${ASKED}${ASKED}`,
  'a byte order mark': `\uFEFF${ASKED}`,
  'bytes that are no UTF-8': Buffer.from([0xff, 0xfe, 0x00]),
  '10,000 open brackets': '['.repeat(10_000),
  '10,000 arrays in each other': `{"cniVersion":"1.0.0","x":${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
  'a key __proto__': '{"__proto__":{"cniVersion":5}}',
  '64 MiB': ' '.repeat(64 * MIB),
}).map(([name, stdin = '']) => ({
  it: `VERSION answers whatever stdin holds: ${name}`,
  source: CNI.skel,
  verb: 'VERSION',
  stdin,
  gives: version(),
}))

const silent: Vector[] = [
  ...Object.entries({
    'an empty': '',
    'half a document in a': '{"cniVersion":"0.4',
    'a whole document in a': ASKED,
  }).flatMap(([name, text]): Vector[] => [
    {
      it: `VERSION answers at once on ${name} socket that nobody closes`,
      source: CNI.skel,
      verb: 'VERSION',
      stdin: text,
      stays: true,
      within: AT_ONCE,
      gives: version(),
    },
    {
      it: `VERSION answers at once on ${name} pipe that nobody closes`,
      source: CNI.skel,
      verb: 'VERSION',
      stdin: '',
      shell: openPipe(text),
      within: AT_ONCE,
      gives: version(),
    },
  ]),
  ...Object.entries({
    'a terminal-like endless file': 'exec "$0" </dev/zero',
    'a directory': 'exec "$0" </',
    '/dev/null': 'exec "$0" </dev/null',
    'nothing, as it is closed': 'exec "$0" <&-',
    'a file': `echo '${ASKED}' >"$1/conf"; exec "$0" <"$1/conf"`,
    'a document that comes late': `{ sleep 0.5; echo '${ASKED}'; } | exec "$0"`,
  }).map(
    ([name, shell]): Vector => ({
      it: `VERSION answers when stdin is ${name}`,
      source: CNI.skel,
      verb: 'VERSION',
      shell,
      within: AT_ONCE,
      gives: version(),
    }),
  ),
]

const promised: Vector[] = [
  {
    it: 'VERSION names the versions ADD takes, oldest first, and no other',
    source: PROMISE,
    verb: 'VERSION',
    stdin: ASKED,
    gives: version('1.0.0'),
    prints: /"supportedVersions":\s*\["0\.3\.0",\s*"0\.3\.1",\s*"0\.4\.0",\s*"1\.0\.0",\s*"1\.1\.0"\]/,
  },
]

conform('VERSION', [...inVersion, ...anything, ...silent, ...promised])
