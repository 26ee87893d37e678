import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import { BUILD_RECORD, start, startedOf, temporaryDirectory } from './product.ts'

/**
 * Node looks at some of its environment before the first line of the plugin runs. Here is every variable that it could look
 * for and environment.test.ts does not try: those it must not obey, and those nothing can be done about.
 */
const VERSION = { CNI_COMMAND: 'VERSION' }
const ANSWER = { exitCode: 0, stdout: expect.stringContaining('"supportedVersions":["0.3.0"'), stderr: '' }

/** `DIR` stands for a directory of the test. */
const HARMLESS: Record<string, string> = {
  CURL_CA_BUNDLE: '/nonexistent',
  HTTPS_PROXY: 'no address',
  HTTP_PROXY: 'no address',
  ICU_TIMEZONE_FILES_DIR: '/dev/zero',
  JEST_WORKER_ID: '1',
  NODE_CHANNEL_SERIALIZATION_MODE: 'advanced',
  NODE_CLUSTER_SCHED_POLICY: 'none',
  NODE_COMPILE_CACHE_PORTABLE: '1',
  NODE_DISABLE_COLORS: '1',
  NODE_DISABLE_COMPILE_CACHE: '1',
  NODE_ICU_DATA: 'DIR',
  NODE_INSPECT_RESUME_ON_START: '1',
  NODE_NO_WARNINGS: '1',
  NODE_PENDING_PIPE_INSTANCES: '99999999',
  NODE_PRESERVE_SYMLINKS: '1',
  NODE_PRESERVE_SYMLINKS_MAIN: '1',
  NODE_REDIRECT_WARNINGS: 'DIR/warnings',
  NODE_REPL_HISTORY: 'DIR/history',
  NODE_REPL_MODE: 'strict',
  NODE_RUN_PACKAGE_JSON_PATH: 'DIR/package.json',
  NODE_RUN_SCRIPT_NAME: 'evil',
  NODE_SKIP_PLATFORM_CHECK: '1',
  NODE_TEST_WORKER_ID: '1',
  NODE_TLS_REJECT_UNAUTHORIZED: '0',
  NODE_USE_SYSTEM_CA: '1',
  NO_COLOR: '1',
  NO_PROXY: '*',
  OPENSSL_ia32cap: '0',
  TEMP: '/nonexistent',
  TERM: 'nothing',
  TMP: '/nonexistent',
  UNDICI_NO_WASM_SIMD: '1',
  UV_USE_IO_URING: '1',
  WATCH_REPORT_DEPENDENCIES: '1',
  http_proxy: 'no address',
  https_proxy: 'no address',
  no_proxy: '*',
}
/** Node obeys these before anything of ours runs, or they end it. The last tests say how; SECURITY.md warns of them. */
const KNOWN_LIMITS = [
  'NODE_CHANNEL_FD',
  'NODE_COMPILE_CACHE',
  'NODE_REPL_EXTERNAL_MODULE',
  'NODE_USE_ENV_PROXY',
  'NODE_V8_COVERAGE',
]
/** Files it must not wait for; existing ones in environment.test.ts do not. */
const FILES = ['NODE_EXTRA_CA_CERTS', 'OPENSSL_CONF', 'SSL_CERT_DIR', 'SSL_CERT_FILE']
/** Looked up in code for other systems, or under a name that no process has. */
const NOT_LINUX = ['SystemRoot', 'USERPROFILE', '__MINIMATCH_TESTING_PLATFORM__', 'comspec', 'windir']
/** Debugging output of the package yaml, which is only in the bundle that a person calls. */
const ONLY_FOR_PEOPLE = ['LOG_STREAM', 'LOG_TOKENS']

test('Node knows no environment variable that is not tried here or in environment.test.ts', () => {
  const manual = path.resolve(
    import.meta.dirname,
    `../../node_modules/node-linux-${process.arch}/share/man/man1/node.1`,
  )
  const code = readFileSync(PLUGIN, 'latin1')
  const looked = [...code.matchAll(/process\.env\.([A-Za-z_]\w*)/g)].map(([, name = '']) => name)
  const told = [...readFileSync(manual, 'utf8').matchAll(/^\.It Ev (\w+)/gm)].map(([, name = '']) => name)
  expect(looked.length).toBeGreaterThan(20)
  expect(told.length).toBeGreaterThan(20)

  const elsewhere = readFileSync(path.join(import.meta.dirname, 'environment.test.ts'), 'utf8')
  const tried = [
    ...Object.keys(HARMLESS),
    ...KNOWN_LIMITS,
    ...FILES,
    ...NOT_LINUX,
    ...ONLY_FOR_PEOPLE,
    ...[...elsewhere.matchAll(/\b([A-Z_\d]+)[=:]/g)].map(([, name]) => name),
  ]
  expect([...new Set([...looked, ...told])].filter((name) => !tried.includes(name))).toEqual([])
})

describe('obeyed by no call:', () => {
  test.each(Object.entries(HARMLESS))('%s=%s', async (name, value) => {
    const directory = temporaryDirectory()
    expect(await start(PLUGIN, { ...VERSION, [name]: value.replace('DIR', directory) })).toEqual(ANSWER)
    expect(readdirSync(directory)).toEqual([])
  })

  test.each(FILES)('%s is not opened: a pipe there would hold the call for ever', async (name) => {
    const pipe = path.join(temporaryDirectory(), 'pipe')
    execFileSync('mkfifo', [pipe])
    expect(await start(PLUGIN, { ...VERSION, [name]: pipe })).toEqual(ANSWER)
  })

  test('OPENSSL_CONF loads no library: neither an engine nor a provider that it names', async () => {
    const file = path.join(temporaryDirectory(), 'openssl.cnf')
    writeFileSync(
      file,
      `nodejs_conf = init
      openssl_conf = init
      [init]
      providers = providers
      engines = engines
      [providers]
      trap = provider
      [provider]
      module = /nonexistent/provider.so
      activate = 1
      [engines]
      trap = engine
      [engine]
      dynamic_path = /nonexistent/engine.so
      init = 1\n`,
    )
    expect(await start(PLUGIN, { ...VERSION, OPENSSL_CONF: file })).toEqual(ANSWER)
  })

  test.each([
    '--cpu-prof --cpu-prof-dir=DIR',
    '--heap-prof --diagnostic-dir=DIR',
    '--heapsnapshot-signal=SIGUSR2 --heapsnapshot-near-heap-limit=1',
    '--report-on-signal --report-directory=DIR',
    '--trace-event-categories=node,v8 --trace-event-file-pattern=DIR/trace',
    '--trace-env --trace-exit --v8-options',
  ])('%s is no option of the executable, in NODE_OPTIONS or on the command line', async (options) => {
    const directory = temporaryDirectory()
    const words = options.replaceAll('DIR', directory)
    expect(await start(PLUGIN, { ...VERSION, NODE_OPTIONS: words })).toEqual(ANSWER)
    expect(await start(PLUGIN, VERSION, words.split(' '))).toMatchObject({ exitCode: 2, stdout: '' })
    expect(readdirSync(directory)).toEqual([])
  })

  test('SIMDUTF_FORCE_IMPLEMENTATION, with which no text can be converted, makes no empty answer a success', async () => {
    const { exitCode, stdout } = await start(PLUGIN, { ...VERSION, SIMDUTF_FORCE_IMPLEMENTATION: 'none' })
    // The plain build is ended by a signal, before our code: then there is no exit status.
    const failure = startedOf(BUILD_RECORD).kind === 'plain' ? undefined : 1
    expect({ exitCode, stdout }).toEqual({ exitCode: failure, stdout: '' })
  })
})

describe('what nothing can be done about, since it comes before our code:', () => {
  test('NODE_REPL_EXTERNAL_MODULE ends the call, says so, and loads nothing', async () => {
    const directory = temporaryDirectory()
    const module = path.join(directory, 'module.cjs')
    writeFileSync(module, `require('node:fs').writeFileSync(${JSON.stringify(`${directory}/trace`)}, '')`)
    expect(await start(PLUGIN, { ...VERSION, NODE_REPL_EXTERNAL_MODULE: module })).toEqual({
      exitCode: 9,
      stdout: '',
      stderr: expect.stringContaining('NODE_REPL_EXTERNAL_MODULE'),
    })
    expect(existsSync(`${directory}/trace`)).toBe(false)
  })

  test.each<Record<string, string>>([
    { NODE_CHANNEL_FD: 'no number' },
    { NODE_USE_ENV_PROXY: '1', HTTP_PROXY: 'no address' },
  ])('%o ends the call with status 1 and an empty stdout, never as a success', async (env) => {
    expect(await start(PLUGIN, { ...VERSION, ...env })).toMatchObject({ exitCode: 1, stdout: '' })
  })

  test.each(['0', '1', '5'])('NODE_CHANNEL_FD=%s takes no orders: the answer is the same', async (fd) => {
    const order = '{"cmd":"NODE_HANDLE","type":"net.Native"}\n{"cmd":"NODE_DEBUG_ENABLED"}\n'
    expect(await start(PLUGIN, { ...VERSION, NODE_CHANNEL_FD: fd }, [], order)).toEqual(ANSWER)
  })

  test.each(['NODE_V8_COVERAGE', 'NODE_COMPILE_CACHE'])(
    '%s writes where it says, and the answer stands',
    async (name) => {
      const directory = temporaryDirectory()
      expect(await start(PLUGIN, { ...VERSION, [name]: directory })).toEqual(ANSWER)
      expect(readdirSync(directory)).toHaveLength(1)
    },
  )
})
