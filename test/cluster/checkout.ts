/** What an operator has at hand: a checkout of the project with what `make build` made, docker, and a registry. */
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { MAKE_BASE, STORAGE } from '../e2e/installer.ts'
import { local, type TestNode } from '../e2e/node.ts'
import { PLUGIN } from '../support/runtime.ts'

/** Where it is on the node. */
export const CHECKOUT = '/run/checkout'

// podman, which takes the executable that is under test: a build inside the image would download all it needs. What is pushed goes
// to the runtime of the node, without a registry in between.
const DOCKER = `#!/bin/sh
set -e
case "$1 $2" in
  'build -t') podman ${STORAGE} build -q --isolation=chroot --build-arg BASE=localhost/base --build-arg PLUGIN=dist -t "$3" "$4" ;;
  push\\ *)
    podman ${STORAGE} save -q --format docker-archive -o /run/pushed.tar "$2"
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
cp -r Dockerfile .dockerignore conf-examples kind ${CHECKOUT}
cp '${PLUGIN}' '${dirname(PLUGIN)}/LICENSES.txt' ${CHECKOUT}/dist
`
  await node.bash(copy)
}

export async function bringDocker(node: TestNode): Promise<void> {
  await node.bash(MAKE_BASE, { env: { PLUGIN } })
  node.write('/opt/bin/docker', DOCKER, 0o755)
}
