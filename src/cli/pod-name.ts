import leven from 'leven'
import { Trouble } from './command.ts'
import { count } from './paint.ts'
import { type Cache, type Pod, podsOf } from './result-cache.ts'

/** The option of plan, verify and repair that names a pod as Kubernetes does. */
export const BY_NAME = {
  pod: {
    value: 'NAMESPACE/NAME',
    about:
      "A pod of this node. Its attachments, their configurations and the network namespace are taken from libcni's result cache.",
  },
} as const

/**
 * Checks how a pod is named, if it is.
 * @param others what else was given, by the name of the option: for a pod with a name, the cache has it
 * @throws Trouble
 */
export function refuseBesidePod(pod: string | undefined, others: Readonly<Record<string, string | undefined>>): void {
  if (pod === undefined) return
  const [name] = Object.entries(others).find(([, value]) => value !== undefined) ?? []
  if (name !== undefined)
    throw new Trouble(`${name}: cannot be combined with --pod, which takes it from libcni's result cache; leave it out`)
  // What a shell takes for a word, too: a message has it in a command.
  if (!/^\w[\w.-]*\/\w[\w.-]*$/.test(pod))
    throw new Trouble(`--pod: must be NAMESPACE/NAME, such as default/${/^\w[\w.-]*$/.test(pod) ? pod : 'web-0'}`)
}

/**
 * The pods of the caches that have this name, or all of them if there is none. One that was made anew has several containers,
 * until the last DEL of the former.
 * @throws Trouble if none has it
 */
export function podsNamed(cache: Cache, name: string | undefined): Pod[] {
  const pods = podsOf(cache)
  if (name === undefined) return pods
  const found = pods.filter(({ attachments }) => attachments.some(({ pod }) => pod === name))
  if (found.length === 0) throw new Trouble(notFound(cache, name))
  return found
}

function notFound({ attachments, unreadable, directories }: Cache, name: string): string {
  const said = `--pod: no attachment of ${name} with x-calico-route in ${directories.join(' or ')}`
  const broken = unreadable.length > 0 ? [`${count(unreadable.length, 'file')} there cannot be read, see verify`] : []
  const near = namesNear(
    name,
    attachments.flatMap(({ pod }) => pod ?? []),
  )
  const [namespace, pod] = name.split('/')
  const advice =
    near.length > 0
      ? `did you mean ${near.join(' or ')}?`
      : `to see which node it is on, run: kubectl -n ${namespace} get pod ${pod} -o wide`
  const root = attachments.length === 0 ? ['no other pod is there either; in a container, give --root'] : []
  return [said, ...broken, ...root, advice].join('; ')
}

const MAX_NAMES = 3
const MAX_DISTANCE = 3

/** Misspelt, without the suffix of its workload, or in another namespace. The nearest first. */
function namesNear(name: string, others: readonly string[]): string[] {
  const bare = (one: string) => one.slice(one.indexOf('/') + 1)
  const distance = (one: string) => leven(one, name)
  return [...new Set(others)]
    .filter((one) => one.startsWith(`${name}-`) || bare(one) === bare(name) || distance(one) <= MAX_DISTANCE)
    .sort((a, b) => distance(a) - distance(b))
    .slice(0, MAX_NAMES)
}
