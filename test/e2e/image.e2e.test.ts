/** What `make image` makes: an image for nodes of both architectures, the same at each time, that scanners understand. */
import { execFileSync } from 'node:child_process'
import { lstatSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PLUGIN } from '../support/runtime.ts'
import {
  bringContext,
  DEBS,
  FOREIGN,
  forgetPodman,
  type Image,
  type Layout,
  makeBase,
  NATIVE,
  PODMAN,
  unpackArchive,
} from './archive.ts'
import { TestNode } from './node.ts'

const CONTEXT = '/run/context'
const PARTS = 'usr/libexec/x-calico-route'
const EPOCH = 1_700_000_000
/** Of a test that builds an image, on a busy machine. */
const PATIENCE = 600_000
const BOTH = [NATIVE, FOREIGN].sort()
/** e_machine of ELF. @see elf.h */
const MACHINES: Record<string, number> = { amd64: 62, arm64: 183 }

describe('the image for both architectures', () => {
  const work = mkdtempSync(join(tmpdir(), 'xcr-archive-'))
  let node: TestNode
  let said = ''
  let layout: Layout
  beforeAll(async () => {
    node = await TestNode.start(makeBase)
    await bringContext(node, CONTEXT)
    said = await build()
    layout = await unpackArchive(node.path(`${CONTEXT}/dist/image.tar`), join(work, 'first'))
  }, PATIENCE)
  afterAll(async () => {
    await node?.close()
    rmSync(work, { recursive: true })
  })

  async function build(env: Record<string, string> = {}): Promise<string> {
    const given = {
      BASE: 'localhost/base',
      SOURCE_DATE_EPOCH: `${EPOCH}`,
      SOURCE: 'https://example.com/x-calico-route',
    }
    const { stdout } = await node.run([`${CONTEXT}/scripts/image/archive.sh`], {
      env: { ...PODMAN, ...given, ...env },
      timeout: 580_000,
    })
    return stdout
  }
  const image = (architecture: string): Image => {
    const found = layout.images.get(architecture)
    if (found === undefined) throw new Error(`no image for ${architecture}`)
    return found
  }
  const filesOf = ({ root }: Image) =>
    execFileSync('find', [root, '!', '-type', 'd', '-printf', '%P\n'], { encoding: 'utf8' }).trim().split('\n').sort()
  const read = ({ root }: Image, file: string) => readFileSync(join(root, file), 'utf8')

  it('is one, whose digest is said, and how it gets to a registry', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    expect([...layout.images.keys()]).toEqual(BOTH)
    expect(said).toBe(
      `dist/image.tar: x-calico-route:${version} for amd64 arm64, ${layout.digest}\n` +
        `push it: skopeo copy --all --preserve-digests oci-archive:dist/image.tar docker://REGISTRY/x-calico-route:${version}\n`,
    )
    for (const architecture of BOTH)
      expect(image(architecture).config).toMatchObject({
        architecture,
        created: new Date(EPOCH * 1000).toISOString().replace('.000', ''),
        config: {
          Labels: {
            'org.opencontainers.image.licenses': 'Apache-2.0',
            'org.opencontainers.image.revision': 'unknown', // of no git checkout
            'org.opencontainers.image.source': 'https://example.com/x-calico-route',
            'org.opencontainers.image.title': 'x-calico-route',
            'org.opencontainers.image.version': version,
          },
        },
      })
  })

  it.each(BOTH)('has files of %s only', (architecture) => {
    const elf = filesOf(image(architecture)).flatMap((file) => {
      const path = join(image(architecture).root, file)
      const bytes = lstatSync(path).isFile() ? readFileSync(path) : Buffer.alloc(0)
      return bytes.toString('latin1', 0, 4) === '\x7fELF' ? [{ file, machine: bytes.readUInt16LE(18) }] : []
    })
    expect(elf.length).toBeGreaterThan(15)
    expect(elf.filter(({ machine }) => machine !== MACHINES[architecture])).toEqual([])
    expect(elf.map(({ file }) => file)).toContain('x-calico-route')
  })

  it('has the same files for both, but for the loader and the names of the directories of libraries', () => {
    const [first, second] = BOTH.map((architecture) =>
      filesOf(image(architecture))
        .map((file) => file.replace(/(x86_64|aarch64)-linux-gnu/, '*'))
        .filter((file) => !/^lib64$|\/ld-linux-/.test(file))
        .sort(),
    )
    expect(first).toEqual(second)
  })

  it('holds the plugin, ip, nsenter and prlimit, their libraries, what is known of them, what a node may lack, and nothing else', () => {
    const KNOWN =
      /^(usr\/lib(64)?\/.*\.so(\.[\d.]+)*|usr\/libexec\/x-calico-route\/.*|usr\/share\/(doc|common-licenses)\/.*|var\/lib\/dpkg\/status\.d\/.*)$/
    expect(filesOf(image(NATIVE)).filter((file) => !KNOWN.test(file) || file === 'usr/lib/os-release')).toEqual(
      [
        ...['bin', 'etc/debian_version', 'etc/os-release', 'lib', 'lib64', 'usr/lib/os-release', 'var/run'],
        ...['usr/bin/ip', 'usr/bin/nsenter', 'usr/bin/prlimit', 'x-calico-route'],
      ].sort(),
    )
    expect(readFileSync(join(image(NATIVE).root, 'x-calico-route')).equals(readFileSync(PLUGIN))).toBe(true)
    const parts = readdirSync(join(image(NATIVE).root, PARTS))
    expect(parts.filter((name) => !/\.so\.\d+$/.test(name)).sort()).toEqual(
      ['flock', 'ip', 'mkdir', 'nsenter', 'prlimit', 'readlink', 'sh'].sort(),
    )
  })

  it.each([
    ...['/x-calico-route', '/usr/bin/ip', '/usr/bin/nsenter', '/usr/bin/prlimit'],
    ...['ip', 'nsenter', 'prlimit', 'flock'].map((name) => `/${PARTS}/${name}`),
  ])('has every library of %s', async (program) => {
    const { stdout } = await execa('/usr/sbin/chroot', [image(NATIVE).root, program, '-V'], {
      env: {},
      extendEnv: false,
    })
    expect(stdout).toMatch(/\d+\.\d+/)
  })

  it.each(BOTH)(
    'tells scanners of %s which packages of which Debian its files are of, as dpkg does',
    async (architecture) => {
      const known = 'var/lib/dpkg/status.d'
      const { root } = image(architecture)
      expect(read(image(architecture), 'etc/os-release')).toMatch(/^ID=debian$/m)
      const names = readdirSync(join(root, known)).filter((name) => !name.endsWith('.md5sums'))
      expect(names).toEqual(
        expect.arrayContaining(['base-files', 'coreutils', 'dash', 'iproute2', 'libc6', 'libstdc++6', 'util-linux']),
      )
      const owned = new Set<string>()
      for (const name of names) {
        const fields = read(image(architecture), `${known}/${name}`)
        expect(fields).toMatch(new RegExp(`^Package: ${name.replaceAll('+', '\\+')}$`, 'm'))
        expect(fields).toMatch(/^Version: \S+$/m)
        expect(fields).toMatch(new RegExp(`^Architecture: (${architecture}|all)$`, 'm'))
        // Of these there are only copies among the parts.
        if (!readdirSync(join(root, known)).includes(`${name}.md5sums`)) {
          expect(['coreutils', 'dash']).toContain(name)
          continue
        }
        const sums = read(image(architecture), `${known}/${name}.md5sums`)
        await execa('md5sum', ['--check', '--strict', '--quiet'], { cwd: root, input: sums })
        for (const [, file = ''] of sums.matchAll(/^\w{32} {2}(.+)$/gm))
          owned.add(realpathSync(join(root, file)).slice(root.length + 1))
      }
      // Whatever is a program or a library is of a package, and unchanged; the parts for nodes are changed copies.
      const files = filesOf(image(architecture)).filter((file) => /^usr\/(bin|lib|lib64)\//.test(file))
      const regular = files.filter((file) => lstatSync(join(root, file)).isFile())
      expect(regular.length).toBeGreaterThan(15)
      expect(regular.filter((file) => !owned.has(file))).toEqual([])
    },
  )

  it('tells of everything in it under which licence it is, where its source is, and what the plugin is made of', () => {
    const share = (file: string) => read(image(NATIVE), `usr/share/${file}`)
    for (const file of ['LICENSES.txt', 'x-calico-route.cdx.json'])
      expect(share(`doc/x-calico-route/${file}`)).toBe(readFileSync(join(dirname(PLUGIN), file), 'utf8'))
    const packages = readdirSync(join(image(NATIVE).root, 'var/lib/dpkg/status.d')).filter(
      (name) => !name.endsWith('.md5sums'),
    )
    expect(readdirSync(join(image(NATIVE).root, 'usr/share/doc')).sort()).toEqual(
      [...packages, 'x-calico-route'].sort(),
    )
    for (const name of packages) {
      expect(share(`doc/${name}/source`)).toMatch(
        /^\S+ \S+: source https:\/\/snapshot\.debian\.org\/package\/[a-z0-9.+-]+\/[^/\s]+\/\n$/,
      )
      const references = share(`doc/${name}/copyright`).matchAll(/\/usr\/share\/(common-licenses\/[\w.-]*\w)/g)
      for (const [, licence = ''] of references) expect(share(licence), `${name}: ${licence}`).toMatch(/licen[cs]e/i)
    }
  })

  it.each(BOTH)('has nothing of %s from the machine that built it: its dates, users and modes', (architecture) => {
    const date = new Date(EPOCH * 1000).toISOString().replace('T', ' ').replace('.000Z', '')
    const wrong = image(architecture).listing.filter((line) => !line.includes(` ${date} `) || !/^\S+ 0\/0 /.test(line))
    expect(wrong).toEqual([])
    const modes = new Set(image(architecture).listing.map((line) => line.slice(0, 10)))
    expect([...modes].sort()).toEqual(['-rw-r--r--', '-rwxr-xr-x', 'drwxr-xr-x', 'lrwxrwxrwx'])
  })

  it('has a bill of materials of both: the packages of each, and what the plugin is made of, everything once', async () => {
    const { stdout } = await node.run([`${CONTEXT}/scripts/image/sbom.sh`, `${CONTEXT}/dist/image.tar`], {
      env: PODMAN,
    })
    const bill = JSON.parse(stdout)
    expect(bill.metadata.component.hashes).toEqual([{ alg: 'SHA-256', content: layout.digest.replace('sha256:', '') }])
    const names = bill.components.map(({ 'bom-ref': name }: { 'bom-ref': string }) => name) as string[]
    expect(new Set(names).size).toBe(names.length)
    for (const architecture of BOTH) {
      const known = join(image(architecture).root, 'var/lib/dpkg/status.d')
      const packages = readdirSync(known)
        .filter((name) => !name.endsWith('.md5sums'))
        .sort()
      const listed = names.filter((name) => name.includes(`?arch=${architecture}&distro=debian-12`))
      expect(
        listed.map((name) => decodeURIComponent(/^pkg:deb\/debian\/([^@]+)@/.exec(name)?.[1] ?? '')).sort(),
      ).toEqual(packages)
      expect(names).toContain(`x-calico-route-${architecture}`)
    }
    expect(names).toEqual(expect.arrayContaining([expect.stringMatching(/^pkg:npm\/node-linux-/), 'os']))
    expect(names).toEqual(expect.arrayContaining([expect.stringMatching(/^pkg:npm\/zod@/)]))
  })

  it('is the same when it is built again later, in another place', { timeout: PATIENCE }, async () => {
    await forgetPodman(node)
    await node.bash(`mv ${CONTEXT} /run/elsewhere; cp -r /run/elsewhere ${CONTEXT}`)
    await makeBase(node)
    await build({ ARCHS: NATIVE })
    const again = await unpackArchive(node.path(`${CONTEXT}/dist/image.tar`), join(work, 'second'))
    expect(again.images.get(NATIVE)?.digest).toBe(image(NATIVE).digest)
  })

  it('is not made of an executable of another architecture', async () => {
    const script = `${CONTEXT}/scripts/image/unpack.sh "$DEBS/${NATIVE}" /run/root
      exec ${CONTEXT}/scripts/image/fill.sh /run/root ${CONTEXT}/dist/${FOREIGN.replace('amd64', 'x64')} /run/filled`
    expect(await node.bash(script, { env: { ...PODMAN, DEBS }, reject: false })).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(
        /^image: the x-calico-route to put in needs \/lib\S*, which none of the packages has: it is of another architecture$/m,
      ),
    })
    expect(node.list('/run/filled')).toEqual([])
  })
})
