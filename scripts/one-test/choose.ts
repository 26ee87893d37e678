/** Which tests a person means by a few words: pure, so that a table of words can show it. */
import leven from 'leven'

export interface TestFile {
  /** From the root of the project: test/unit/plan/plan.test.ts */
  readonly path: string
  readonly tier: string
}

/** They install container runtimes, and build a Kubernetes, so they run only for somebody who asks for them. */
const ONLY_IF_NAMED = ['e2e', 'cluster']

/** The tests of these tiers need neither dist/ nor a sandbox. */
const OF_SOURCES = ['unit', 'manifests']

export const needProduct = (files: readonly TestFile[]): boolean => files.some(({ tier }) => !OF_SOURCES.includes(tier))

/**
 * The files that the words name, by the first of these that finds any: a path, a whole file name, a part of a path.
 * "plan" is every plan.test.ts, not all of test/unit/plan/; "unit/plan" is all of it.
 */
export function filesNamed(words: string, files: readonly TestFile[]): TestFile[] {
  const path = words.replace(/^\.\//, '').replace(/\/$/, '')
  const ways: ((file: TestFile) => boolean)[] = [
    (file) => file.path === path || file.path.startsWith(`${path}/`),
    (file) => namesOf(file).includes(path),
    (file) => file.path.includes(path),
  ]
  return ways.map((way) => files.filter(way)).find((found) => found.length > 0) ?? []
}

/** What a person calls plan.properties.test.ts or add.netns.test.ts. */
function namesOf({ path, tier }: TestFile): string[] {
  const base = path.slice(path.lastIndexOf('/') + 1)
  const stem = base.replace(/\.test\.ts$/, '')
  return [base, stem, stem.replace(`.${tier}`, '')]
}

/** Without those of ONLY_IF_NAMED, unless there are no others or the words name the tier. */
export function wanted(words: string, found: readonly TestFile[]): TestFile[] {
  const chosen = found.filter(({ tier }) => !ONLY_IF_NAMED.includes(tier) || words.includes(tier))
  return chosen.length === 0 ? [...found] : chosen
}

/** The paths by tier, those of OF_SOURCES first: they take seconds, and say most about a mistake. */
export function byTier(files: readonly TestFile[]): Map<string, string[]> {
  const tiers = Map.groupBy(files, ({ tier }) => tier)
  const order = [...new Set([...OF_SOURCES, ...tiers.keys()])].filter((tier) => tiers.has(tier))
  return new Map(order.map((tier) => [tier, (tiers.get(tier) ?? []).map(({ path }) => path)]))
}

/** The first of the words that looks like an option: out of habit, since vitest has some. */
export const optionIn = (words: string): string | undefined =>
  words.split(/\s+/).find((word) => /^--?[a-z]/i.test(word))

/** vitest joins the titles of a test with a space, and shows them with " > ". */
export const titlePattern = (words: string): string =>
  words.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&').replaceAll(' > ', '(?: >)? ')

/** At most three file names that are a few letters from the words. */
export function nearest(words: string, files: readonly TestFile[]): string[] {
  const distance = (file: TestFile) => Math.min(...namesOf(file).map((name) => leven(words.toLowerCase(), name)))
  const limit = Math.max(2, Math.floor(words.length / 3))
  return files
    .map((file) => ({ path: file.path, far: distance(file) }))
    .filter(({ far }) => far <= limit)
    .sort((one, other) => one.far - other.far)
    .slice(0, 3)
    .map(({ path }) => path)
}
