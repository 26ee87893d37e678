import leven from 'leven'
import type { AnnotationProblem } from './network-annotation.ts'

type Annotations = Readonly<Record<string, unknown>>
type Lost = AnnotationProblem & { readonly key: string }

/** What Multus writes, or reads elsewhere. */
const OTHERS = /^k8s\.v1\.cni\.cncf\.io\/(?:networks?-status|resourceName)$/

/** Annotations of a Deployment or the like, where Multus never looks: it reads those of pods. */
export function misplaced(annotations: Annotations, keys: readonly string[]): Lost[] {
  return all(annotations, keys, "Multus reads only the annotations of pods; move it into the template's metadata")
}

/** Annotations of a pod in the node's network namespace, for which no runtime calls Multus. */
export function onHost(annotations: Annotations, keys: readonly string[]): Lost[] {
  return all(annotations, keys, 'Multus is not called for a pod with "hostNetwork: true"; remove one of them')
}

function all(annotations: Annotations, keys: readonly string[], says: string): Lost[] {
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
