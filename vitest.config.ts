import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

const seconds = (n: number) => n * 1000

/** A tier is a project of its own, so that `--project netns` runs it alone. */
const tier = (name: string, include: string, timeout: number) => ({
  test: {
    name,
    include: [include],
    testTimeout: timeout,
    hookTimeout: timeout,
    passWithNoTests: false,
    setupFiles: process.env.XCR_FUZZ_SEED ? ['test/support/seed.ts'] : [],
  },
})

export default defineConfig({
  test: {
    passWithNoTests: false,
    // Most of a test's time goes into waiting for the kernel to make and unmake namespaces.
    maxWorkers: 2 * availableParallelism(),
    projects: [
      // Waits for nothing; but thousands of generated cases take their time on a busy machine.
      tier('unit', 'test/unit/**/*.test.ts', seconds(60)),
      // Runs kustomize-like patches and shell scripts; reads the schemas of whole projects.
      tier('manifests', 'test/manifests/*.test.ts', seconds(60)),
      // Builds whole executables.
      tier('executable', 'test/executable/*.test.ts', seconds(120)),
      // Waits for many processes; on a busy machine much longer than on an idle one.
      tier('netns', 'test/netns/*.netns.test.ts', seconds(120)),
      // One vector hands over 64 MiB.
      tier('conformance', 'test/conformance/*.test.ts', seconds(60)),
      // What a person calls: the tool for people inside the executable.
      tier('cli', 'test/cli/*.test.ts', seconds(60)),
      // Waits for time limits of 10 s on purpose.
      tier('faults', 'test/faults/*.test.ts', seconds(120)),
      tier('fuzz', 'test/fuzz/*.test.ts', seconds(300)),
      // Each start under qemu takes most of a second.
      tier('arm64', 'test/arm64/*.test.ts', seconds(120)),
      tier('e2e', 'test/e2e/*.e2e.test.ts', seconds(300)),
      // Waits for what Kubernetes does in its own time.
      tier('cluster', 'test/cluster/*.cluster.test.ts', seconds(600)),
    ],
  },
})
