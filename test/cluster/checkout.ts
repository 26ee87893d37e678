/** What an operator has at hand: a checkout of the project with what `make build` made, docker, and a registry. */
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { makeBase } from '../e2e/archive.ts'
import { local, type TestNode } from '../e2e/node.ts'
import { PLUGIN } from '../support/runtime.ts'

/** Where it is on the node. */
export const CHECKOUT = '/run/checkout'

// podman, which takes the executable that is under test: a build inside the image would download all it needs. What is pushed goes
// to the runtime of the node, without a registry in between.
const DOCKER = `#!/bin/sh
set -e
case "$1 $2" in
  'build -t') podman build -q --isolation=chroot --build-arg BASE=localhost/base --build-arg PLUGIN=dist -t "$3" "$4" ;;
  push\\ *)
    podman save -q --format docker-archive -o /run/pushed.tar "$2"
    ctr -n k8s.io images import /run/pushed.tar
    rm /run/pushed.tar
    ;;
  *) echo "docker: $* is not known here" >&2; exit 1 ;;
esac
`

export async function bringCheckout(node: TestNode): Promise<void> {
  if (!existsSync(PLUGIN)) throw new Error(`no ${PLUGIN}: run \`make build\` first`)
  const copy = `
mkdir -p ${CHECKOUT}/dist
cd '${local('../..')}'
cp -r Dockerfile .dockerignore conf-examples kind scripts ${CHECKOUT}
cd '${dirname(PLUGIN)}'
cp x-calico-route LICENSES.txt x-calico-route.cdx.json ${CHECKOUT}/dist
`
  await node.bash(copy)
}

export async function bringDocker(node: TestNode): Promise<void> {
  await makeBase(node)
  node.write('/opt/bin/docker', DOCKER, 0o755)
}
