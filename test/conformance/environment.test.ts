import { conform } from './conform.ts'
import { about, CNI, either, error, nothing, openPipe, PROMISE, result, SPEC, type Vector, version } from './vector.ts'

const required: Vector[] = [
  ...[
    { verb: 'ADD', source: SPEC.add, names: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'] },
    { verb: 'CHECK', source: SPEC.check, names: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'] },
    { verb: 'DEL', source: SPEC.del, names: ['CNI_CONTAINERID', 'CNI_IFNAME'] },
  ].flatMap(({ verb, source, names }) =>
    names.flatMap((name) => [
      { it: `${verb} without ${name} is refused`, source, verb, env: { [name]: undefined }, gives: error(4, name) },
      // libcni sets every variable, and so passes on as empty what its caller forgot.
      { it: `${verb} with an empty ${name} is refused`, source, verb, env: { [name]: '' }, gives: error(4, name) },
    ]),
  ),
  {
    it: 'a call without several of the required variables names them all',
    source: SPEC.error,
    verb: 'ADD',
    env: { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: '' },
    gives: error(4, /CNI_CONTAINERID.*CNI_NETNS.*CNI_IFNAME/),
  },
  {
    it: 'GC without CNI_PATH is refused',
    source: SPEC.gc,
    verb: 'GC',
    conf: { cniVersion: '1.1.0' },
    env: { CNI_PATH: undefined },
    gives: error(4, 'CNI_PATH'),
  },
]

const optional: Vector[] = [
  ...['ADD', 'CHECK', 'DEL', 'STATUS'].map(
    (verb): Vector => ({
      it: `${verb} needs no CNI_PATH`,
      source: SPEC.parameters,
      differs: 'pkg/skel wants it of every verb but VERSION, against the lists of optional parameters',
      verb,
      conf: { cniVersion: '1.1.0' },
      env: { CNI_PATH: undefined },
      gives: verb === 'ADD' ? result() : nothing,
    }),
  ),
  { it: 'ADD needs no CNI_ARGS', source: SPEC.add, verb: 'ADD', env: { CNI_ARGS: undefined }, gives: result() },
  { it: 'an empty CNI_ARGS is none', source: SPEC.add, verb: 'ADD', env: { CNI_ARGS: '' }, gives: result() },
  {
    it: 'CNI_ARGS are no business of a plugin that takes none, however malformed',
    source: CNI.skel,
    differs: 'pkg/skel does not look at them, but the plugins parse what it hands on',
    verb: 'ADD',
    env: { CNI_ARGS: ';;=;K8S_POD_NAME;=x;\n' },
    gives: result(),
  },
  {
    it: 'CNI_ARGS may have 100 KiB',
    source: SPEC.parameters,
    verb: 'ADD',
    env: { CNI_ARGS: `IgnoreUnknown=1;K8S_POD_UID=${'a'.repeat(100 * 1024)}` },
    gives: result(),
  },
  ...['GC', 'STATUS'].flatMap((verb): Vector[] => [
    {
      it: `${verb} has no attachment: it needs none of its variables`,
      source: verb === 'GC' ? SPEC.gc : SPEC.status,
      verb,
      conf: { cniVersion: '1.1.0', prevResult: undefined },
      env: { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined, CNI_ARGS: undefined },
      gives: nothing,
    },
    {
      it: `${verb} takes the empty variables libcni sets`,
      source: CNI.libcni,
      verb,
      conf: { cniVersion: '1.1.0', prevResult: undefined },
      env: { CNI_CONTAINERID: '', CNI_NETNS: '', CNI_IFNAME: '', CNI_ARGS: '' },
      gives: nothing,
    },
    {
      it: `${verb} does not mind the variables it has no use for`,
      source: CNI.skel,
      verb,
      conf: { cniVersion: '1.1.0', prevResult: undefined },
      env: { CNI_CONTAINERID: '-x', CNI_NETNS: '/nowhere', CNI_IFNAME: 'far/too/long/and/with/slashes' },
      gives: nothing,
    },
  ]),
]

const containerIds: Vector[] = [
  ...['-leading-hyphen', '.dot', '_underscore', 'a/b', '../a', 'a b', 'a\n', 'a;b', '$(id)', 'gefäß', '%41', ' a'].map(
    (id): Vector => ({
      it: `container ID ${JSON.stringify(id)} is refused`,
      source: SPEC.parameters,
      verb: 'ADD',
      env: { CNI_CONTAINERID: id },
      gives: error(4, 'CNI_CONTAINERID'),
    }),
  ),
  ...['0', 'Z', 'a-._', 'a'.repeat(4096)].map(
    (id): Vector => ({
      it: `container ID ${id.length > 9 ? `of ${id.length} letters` : JSON.stringify(id)} is fine`,
      source: SPEC.parameters,
      verb: 'ADD',
      env: { CNI_CONTAINERID: id },
      gives: result(),
    }),
  ),
  ...['CHECK', 'DEL'].map(
    (verb): Vector => ({
      it: `${verb} refuses an invalid container ID as ADD does`,
      source: CNI.skel,
      verb,
      env: { CNI_CONTAINERID: '-x' },
      gives: error(4, 'CNI_CONTAINERID'),
    }),
  ),
]

const verbs: Vector[] = [
  ...['add', 'Del', ' ADD', 'ADD ', 'ADD\n', 'UPDATE', 'ADD,DEL', '__proto__', 'constructor', 'toString'].map(
    (verb): Vector => ({
      it: `CNI_COMMAND ${JSON.stringify(verb)} is no verb`,
      source: CNI.skel,
      verb,
      gives: error(4, 'CNI_COMMAND'),
    }),
  ),
  {
    it: 'an unknown verb needs no other variable to be told so',
    source: CNI.skel,
    verb: 'UPDATE',
    env: { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined, CNI_PATH: undefined },
    gives: error(4, 'CNI_COMMAND'),
  },
  {
    it: 'without CNI_COMMAND a plugin says what it is, and does not wait for stdin',
    source: CNI.skel,
    verb: 'ADD',
    env: { CNI_COMMAND: undefined },
    stdin: '',
    stays: true,
    gives: about,
  },
  {
    it: 'an empty CNI_COMMAND is none',
    source: CNI.skel,
    verb: '',
    stdin: '',
    shell: openPipe(''),
    gives: about,
  },
]

const order: Vector[] = [
  {
    it: 'an invalid variable is answered before a missing one',
    source: CNI.skel,
    verb: 'ADD',
    env: { CNI_CONTAINERID: '-x', CNI_NETNS: undefined },
    gives: error(4, /^(?!.*CNI_NETNS).*CNI_CONTAINERID/),
  },
  {
    it: 'a variable is answered before stdin is looked at',
    source: CNI.skel,
    verb: 'ADD',
    env: { CNI_IFNAME: 'a/b' },
    stdin: '{',
    gives: error(4, 'CNI_IFNAME'),
  },
  {
    it: 'a missing variable is answered before stdin that cannot be read',
    source: CNI.skel,
    verb: 'DEL',
    env: { CNI_CONTAINERID: undefined },
    shell: 'exec "$0" </',
    gives: error(4, 'CNI_CONTAINERID'),
  },
  { it: 'stdin is answered before an unknown verb', source: CNI.skel, verb: 'UPDATE', stdin: '{', gives: error(6) },
  {
    it: 'the network name is answered before an unknown verb',
    source: CNI.skel,
    verb: 'UPDATE',
    conf: { name: undefined },
    gives: error(7),
  },
  {
    it: 'an unknown verb is answered before the version',
    source: CNI.skel,
    verb: 'UPDATE',
    conf: { cniVersion: '9.9.9' },
    gives: error(4, 'CNI_COMMAND'),
  },
]

/** A runtime hands on its own environment, whatever that has in it. */
const foreign: Vector[] = [
  ...Object.entries({
    'TRACEPARENT and BAGGAGE, which libcni adds': {
      TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      BAGGAGE: 'userId=alice',
    },
    'a NODE_OPTIONS that Node would not start with': { NODE_OPTIONS: '--no-such-option' },
    'a NODE_OPTIONS that loads a file': { NODE_OPTIONS: '--require=/nonexistent.js' },
    'an OPENSSL_CONF that is not there': { OPENSSL_CONF: '/nonexistent.cnf' },
    'a NODE_EXTRA_CA_CERTS that is not there': { NODE_EXTRA_CA_CERTS: '/nonexistent.pem' },
    'the variables of a packager of executables': { PKG_EXECPATH: 'PKG_INVOKE_NODEJS', PKG_INVOKE_NODEJS: '1' },
    'a locale nobody has': { LANG: 'xx_XX.UTF-8', LC_ALL: 'tr_TR' },
    'colours wanted': { FORCE_COLOR: '3', CLICOLOR_FORCE: '1', COLORTERM: 'truecolor' },
    'an empty PATH': { PATH: '' },
  }).map(
    ([name, env]): Vector => ({
      it: `the runtime's environment may have ${name}`,
      source: name.includes('libcni') ? CNI.invoke : PROMISE,
      verb: 'ADD',
      env,
      gives: result(),
    }),
  ),
  {
    it: "the runtime's PATH does not choose which ip and nsenter are run",
    source: PROMISE,
    verb: 'ADD',
    shell:
      'for tool in ip nsenter; do printf "#!/bin/sh\\nexit 3\\n" >"$1/$tool"; chmod +x "$1/$tool"; done; PATH="$1:$PATH"; export PATH; exec "$0"',
    gives: result(),
  },
  {
    it: 'a container ID of bytes that are no UTF-8 is refused',
    source: SPEC.parameters,
    verb: 'ADD',
    shell: 'CNI_CONTAINERID="$(printf "a\\377")"; export CNI_CONTAINERID; exec "$0"',
    gives: error(4, 'CNI_CONTAINERID'),
  },
  {
    it: 'VERSION needs nothing in its environment but CNI_COMMAND',
    source: SPEC.version,
    verb: 'VERSION',
    shell: 'exec env -i CNI_COMMAND=VERSION "$0"',
    gives: version(),
  },
  {
    it: 'an interface name of bytes that are no UTF-8 is refused, or no interface of the pod',
    source: PROMISE,
    verb: 'DEL',
    shell: 'CNI_IFNAME="$(printf "\\377")"; export CNI_IFNAME; exec "$0"',
    gives: either(nothing, error(4, 'CNI_IFNAME')),
  },
]

conform('environment', [...required, ...optional, ...containerIds, ...verbs, ...order, ...foreign])
