import leven from 'leven'
import type { AnnotationProblem } from './network-annotation.ts'

type Annotations = Readonly<Record<string, unknown>>
type Lost = AnnotationProblem & { readonly key: string }

/** What Multus writes, or reads elsewhere. */
const OTHERS = /^k8s\.v1\.cni\.cncf\.io\/(?:networks?-status|resourceName)$/

/** Annotations of a Deployment or the like, where Multus never looks: it reads those of pods. */
export function misplaced(annotations: Annotations, keys: readonly string[]): Lost[] {
  const says = "Multus reads only the annotations of pods; move it into the template's metadata"
  return keys.filter((key) => key in annotations).map((key) => ({ key, code: 'XCR504', says }))
}

/** Annotations that look like those of Multus, and are not. */
export function misspelt(annotations: Annotations, keys: readonly string[]): Lost[] {
  return Object.keys(annotations).flatMap((key) => {
    if (keys.includes(key) || OTHERS.test(key) || key.length > MAX_LENGTH) return []
    const meant = keys.find((one) => leven(key, one) <= MAX_DISTANCE)
    if (meant === undefined) return []
    return [{ key, code: 'XCR504' as const, says: `Multus does not know this annotation; did you mean "${meant}"?` }]
  })
}

const MAX_LENGTH = 50
const MAX_DISTANCE = 3
