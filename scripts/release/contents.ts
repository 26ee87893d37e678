/**
 * The tracked files that go into the archive of a release: all that README.md and docs/ link to, so that every link works
 * in the unpacked archive. A test checks that.
 */
export const TRACKED: readonly string[] = [
  'LICENSE',
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'charts',
  'conf-examples',
  'docs',
  'kind/README.md',
  'test/faults/README.md',
  '.github/bench.svg',
  '.github/storm.svg',
]
