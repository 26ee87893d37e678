/**
 * What git tracks of the project that goes into a release's archive: all that README.md and the pages of docs/ link to, so that
 * whoever unpacks it can follow every link of theirs. A test looks.
 */
export const TRACKED: readonly string[] = [
  'LICENSE',
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'conf-examples',
  'docs',
  'kind/README.md',
  'test/faults/README.md',
  '.github/bench.svg',
  '.github/storm.svg',
]
