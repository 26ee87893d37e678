import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { replaceSnapshot } from '../../scripts/build/snapshot/blob.ts'
import { PLUGIN } from '../support/runtime.ts'
import { BUILD_RECORD, build, start, startedOf, temporaryDirectory } from './product.ts'

const NAMES = { snapshot: 'from its start-up snapshot', plain: 'from source text, by START=plain' }
const answersVersion = { exitCode: 0, stdout: expect.stringContaining('"supportedVersions"'), stderr: '' }
const VERSION = { CNI_COMMAND: 'VERSION' }

/** A program in the place of src/main.ts. */
function entry(code: string): string {
  const file = path.join(temporaryDirectory(), 'entry.ts')
  writeFileSync(
    file,
    `import { writeSync } from 'node:fs'
    import { startupSnapshot } from 'node:v8'
    const answer = () => process.env.CNI_COMMAND ? writeSync(1, '{"supportedVersions":["1.1.0"]}') : writeSync(2, 'about')
    ${code}`,
  )
  return file
}

const product = startedOf(BUILD_RECORD)

test(`the product starts as this build was asked to: ${NAMES[product.asked]}`, () => {
  expect(product.kind).toBe(product.asked)
})

test('the checksum beside the product is the one of the product', async () => {
  const { stdout } = await execa('sha256sum', ['--check', 'x-calico-route.sha256'], { cwd: path.dirname(PLUGIN) })
  expect(stdout).toBe('x-calico-route: OK')
})

describe('building', () => {
  // There is no network in the tests' namespace but its loopback: what these builds need is on this machine.
  test('needs neither a network nor a cache in HOME, and leaves nothing in HOME and nothing half-made', async () => {
    const [home, outdir] = [temporaryDirectory(), temporaryDirectory()]
    expect(await build(outdir, [], { HOME: home })).toMatchObject({ exitCode: 0, stderr: '' })
    expect(readdirSync(home)).toEqual([])
    expect(readdirSync(outdir).sort()).toEqual([
      'LICENSES.txt',
      'meta.json',
      'x-calico-route',
      'x-calico-route-cli.cjs',
      'x-calico-route.cdx.json',
      'x-calico-route.cjs',
      'x-calico-route.sha256',
    ])
  })

  test('works twice at once', async () => {
    const outdir = temporaryDirectory()
    const runs = await Promise.all([build(outdir), build(outdir)])
    expect(runs).toMatchObject([
      { exitCode: 0, stderr: '' },
      { exitCode: 0, stderr: '' },
    ])
    expect(await start(path.join(outdir, 'x-calico-route'), VERSION)).toEqual(answersVersion)
  })

  test('from anything else than the two kinds of start stops', async () => {
    expect(await build(temporaryDirectory(), ['--start', 'fast'])).toMatchObject({
      exitCode: 1,
      stderr: 'build: START is "fast"; write snapshot or plain',
    })
  })

  test('without strip stops, and says which package has it', async () => {
    const outdir = temporaryDirectory()
    expect(await build(outdir, [], { PATH: '/nonexistent' })).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('apt-get install binutils'),
    })
    expect(readdirSync(outdir)).toEqual([])
  })
})

describe('without the snapshot', () => {
  test('the plugin is the same program, and as sealed', async () => {
    const outdir = temporaryDirectory()
    const executable = path.join(outdir, 'x-calico-route')
    expect(await build(outdir, ['--start', 'plain'])).toMatchObject({ exitCode: 0, stderr: '' })
    expect(startedOf(path.join(outdir, 'meta.json'))).toMatchObject({ asked: 'plain', kind: 'plain' })

    expect(await start(executable, { ...VERSION, NODE_OPTIONS: '--garbage' })).toEqual(await start(PLUGIN, VERSION))
    expect(await start(executable)).toEqual(await start(PLUGIN))
    expect(await start(executable, {}, ['--help'])).toEqual(await start(PLUGIN, {}, ['--help']))
    expect(await start(executable, {}, ['-e', '0'])).toEqual(await start(PLUGIN, {}, ['-e', '0']))
  })

  test.each([
    [
      'a snapshot that cannot be taken',
      `if (startupSnapshot.isBuildingSnapshot()) throw new Error('not while building')
      answer()`,
    ],
    [
      'a snapshot that answers wrongly',
      `if (startupSnapshot.isBuildingSnapshot()) startupSnapshot.setDeserializeMainFunction(() => {})
      else answer()`,
    ],
  ])('the build goes on after %s, and says so', async (_, code) => {
    const outdir = temporaryDirectory()
    const { exitCode, stderr } = await build(outdir, ['--entry', entry(code)])
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: expect.stringContaining('WARNING: the start-up snapshot cannot be used'),
    })
    expect(startedOf(path.join(outdir, 'meta.json'))).toMatchObject({ asked: 'snapshot', kind: 'plain' })
    expect(await start(path.join(outdir, 'x-calico-route'), VERSION)).toEqual(answersVersion)
  })

  test('a program that answers wrongly either way is not built, and the one built before stays', async () => {
    const outdir = temporaryDirectory()
    writeFileSync(path.join(outdir, 'x-calico-route'), 'built before')
    expect(await build(outdir, ['--entry', entry('void answer; void startupSnapshot')])).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('smoke test: {"CNI_COMMAND":"VERSION"}: exit 0, stdout "", stderr ""'),
    })
    expect(readFileSync(path.join(outdir, 'x-calico-route'), 'utf8')).toBe('built before')
    expect(existsSync(path.join(outdir, 'x-calico-route.sha256'))).toBe(false)
  })
})

describe('a SEA blob that is laid out in another way than we know is refused', () => {
  const u32 = (value: number) => Buffer.from(new Uint32Array([value]).buffer)
  const u64 = (value: bigint) => Buffer.from(new BigUint64Array([value]).buffer)
  const sized = (bytes: Buffer) => Buffer.concat([u64(BigInt(bytes.length)), bytes])
  const text = (value: string) => sized(Buffer.from(value))
  const snapshot = (content: string) => Buffer.concat([u32(0x0143da19), Buffer.from([1]), Buffer.from(content)])
  const parts = {
    magic: u32(0x0143da20),
    flags: u32(0x1b),
    extension: Buffer.from([0]),
    codePath: text('main.cjs'),
    snapshot: sized(snapshot('old')),
    assets: Buffer.concat([u64(2n), text('room'), text(''), text('cli.cjs'), text('the tool for people')]),
    count: u64(4n),
    first: text('--no-rehash-snapshot'),
    second: text('--no-sparkplug'),
    third: text('--disable-sigusr1'),
    fourth: text('--openssl-config=/dev/null'),
    end: Buffer.alloc(0),
  }
  const blob = (changed: Partial<typeof parts> = {}) => Buffer.concat(Object.values({ ...parts, ...changed }))
  const replaced = (bytes: Buffer) => replaceSnapshot(bytes, snapshot('longer than the old'), 'main.cjs')

  test('as we know it: the snapshot and its length change, nothing else', () => {
    expect(replaced(blob())).toEqual(blob({ snapshot: sized(snapshot('longer than the old')) }))
  })

  test.each<[string, Partial<typeof parts>]>([
    ['magic', { magic: u32(1) }],
    ['flags', { flags: u32(0x3) }],
    ['execArgvExtension', { extension: Buffer.from([1]) }],
    ['code path', { codePath: text('other.cjs') }],
    ['ends', { snapshot: Buffer.concat([u64(2n ** 40n), snapshot('old')]) }],
    ['snapshot magic', { snapshot: sized(Buffer.from('source text')) }],
    ['assets', { assets: u64(0n) }],
    ['assets', { assets: Buffer.concat([u64(2n), text('room'), text(''), text('other.cjs'), text('')]) }],
    ['number of execArgv', { count: u64(1n) }],
    ['execArgv', { first: text('--other') }],
    ['trailing bytes', { end: Buffer.from('more') }],
  ])('%s', (field, changed) => {
    expect(() => replaced(blob(changed))).toThrow(`SEA blob: ${field}`)
  })
})
