/** The image for both architectures, as `make image` makes it with podman on a test node, and what is in it. */
import { mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { PLUGIN } from '../support/runtime.ts'
import { local, type TestNode } from './node.ts'

export const NATIVE = process.arch === 'arm64' ? 'arm64' : 'amd64'
export const FOREIGN = NATIVE === 'arm64' ? 'amd64' : 'arm64'

/** Where scripts/e2e-deps.sh puts what scripts/image/debs.sh fetches. */
export const DEBS = local('../../.cache/e2e/debs')

/** For commands that call podman: its storage goes with the node, and it mounts nothing. */
export const PODMAN = { BUILDAH_ISOLATION: 'chroot', PATH: '/usr/sbin:/usr/bin' }

/**
 * Makes localhost/base of this machine's own files, a Debian to build on without network: what the Dockerfile and its scripts call,
 * and the packages' files.
 */
export const MAKE_BASE = `
mkdir -p /run/base/debs /run/base/tmp /etc/containers
echo '{ "default": [{ "type": "insecureAcceptAnything" }] }' >/etc/containers/policy.json
printf '[storage]\\ndriver = "overlay"\\ngraphroot = "/run/podman/storage"\\nrunroot = "/run/podman/run"\\n' >/etc/containers/storage.conf
tools=$(command -v sh basename cat chmod cp dpkg-deb find ln mkdir patchelf readlink realpath rm sed tar touch)
libraries=$(ldd $tools | grep -o '/lib[^ ]*' | sort -u | sed 's#^#/usr#')
cp -r "$DEBS"/* /run/base/debs
tar -cf /run/base.tar -C / bin lib lib64 sbin
tar -rhf /run/base.tar -C / --hard-dereference $(printf '.%s ' $tools $libraries)
tar -rf /run/base.tar -C /run/base debs tmp
podman import -q /run/base.tar localhost/base
rm -r /run/base.tar /run/base
`

export async function makeBase(node: TestNode): Promise<void> {
  await node.bash(MAKE_BASE, { env: { ...PODMAN, DEBS } })
}

/**
 * Puts what the Dockerfile needs of a checkout into a directory of the node, with the executable under test, and in place of one for
 * the other architecture a small program of that, linked with the same libraries: neither is run.
 */
export async function bringContext(node: TestNode, context: string): Promise<void> {
  const copy = `
mkdir -p $OTHER /run/foreign
cd "$PROJECT"
cp -r Dockerfile .dockerignore package.json scripts $CONTEXT
cd "$BUILT"
cp x-calico-route LICENSES.txt x-calico-route.cdx.json $CONTEXT/dist
cp LICENSES.txt x-calico-route.cdx.json $OTHER
dpkg-deb -x "$DEBS/$FOREIGN"/coreutils_*.deb /run/foreign
for library in $(patchelf --print-needed x-calico-route); do
  case $library in ld-linux*) ;; *) patchelf --add-needed "$library" /run/foreign/bin/true ;; esac
done
cp /run/foreign/bin/true $OTHER/x-calico-route
`
  // make's name of a directory is Node's for an architecture
  const other = `${context}/dist/${FOREIGN.replace('amd64', 'x64')}`
  const env = { CONTEXT: context, OTHER: other, PROJECT: local('../..'), BUILT: dirname(PLUGIN), DEBS, FOREIGN }
  await node.bash(copy, { env: { ...PODMAN, ...env } })
}

/** Gives back the memory that podman's storage takes on the node; some of it podman leaves mounted. */
export async function forgetPodman(node: TestNode): Promise<void> {
  await node.bash(`
awk '$2 ~ "^/run/podman/" { print $2 }' /proc/mounts | sort -r | xargs -r umount --lazy
rm -r /run/podman
`)
}

export interface Layout {
  readonly digest: string
  readonly images: ReadonlyMap<string, Image>
}

export interface Image {
  readonly digest: string
  readonly config: { architecture: string; created: string; config: { Labels: Record<string, string> } }
  /** Of this process: the root directory of the image. */
  readonly root: string
  /** What tar says of each entry of the one layer: mode, owner, size, date, name. */
  readonly listing: readonly string[]
}

/** Unpacks the archive that archive.sh has made, below the directory `to`. */
export async function unpackArchive(archive: string, to: string): Promise<Layout> {
  mkdirSync(to, { recursive: true })
  await execa('tar', ['-xf', archive, '-C', to])
  const blob = (digest: string) => join(to, 'blobs', ...digest.split(':'))
  const json = (file: string) => JSON.parse(readFileSync(file, 'utf8'))
  const [index] = json(join(to, 'index.json')).manifests
  const images = new Map<string, Image>()
  for (const { digest, platform } of json(blob(index.digest)).manifests) {
    const manifest = json(blob(digest))
    const root = join(to, platform.architecture)
    mkdirSync(root)
    const [layer] = manifest.layers
    if (manifest.layers.length !== 1) throw new Error(`${digest} has ${manifest.layers.length} layers`)
    const { stdout } = await execa('tar', ['-tvzf', blob(layer.digest), '--numeric-owner', '--full-time', '--utc'])
    await execa('tar', ['-xzf', blob(layer.digest), '-C', root])
    images.set(platform.architecture, {
      digest,
      config: json(blob(manifest.config.digest)),
      root,
      listing: stdout.split('\n'),
    })
  }
  return { digest: index.digest, images }
}
