/** charts/x-calico-route, and what the real helm makes of it. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parse, parseAllDocuments } from 'yaml'
import type { Part } from './manifests.ts'

const ROOT = path.resolve(import.meta.dirname, '../..')
/** scripts/helm-deps.sh builds it, unless there is no Go. */
const HELM = path.join(ROOT, '.cache/helm/bin/helm')
export const helmBuilt = existsSync(HELM)

const CHART = 'charts/x-calico-route'
export const chartText = (file: string): string => readFileSync(path.join(ROOT, CHART, file), 'utf8')
export const DEFAULTS: Part = parse(chartText('values.yaml'))

/** Where the release is, which is not where its objects are. */
const RELEASE = ['release', CHART, '--namespace=kube-system', '--values=-']
const options = (values: object) => ({ cwd: ROOT, encoding: 'utf8' as const, input: JSON.stringify(values) })

/** The objects that helm makes of the chart, in helm's order. */
export function objectsOf(values: object): Part[] {
  const text = execFileSync(HELM, ['template', ...RELEASE], options(values))
  return parseAllDocuments(text)
    .map((each) => each.toJS())
    .filter((each) => each !== null)
}

/** What helm says of values that the chart refuses; empty if it takes them. */
export function refusalOf(values: object, ...more: string[]): string {
  const { status, stderr } = spawnSync(HELM, ['template', ...RELEASE, ...more], options(values))
  return status === 0 ? '' : stderr
}

/** What helm shows to who has installed it. */
export function notesOf(values: object): string {
  const text = execFileSync(HELM, ['install', ...RELEASE, '--dry-run=client', '--output=json'], options(values))
  return JSON.parse(text).info.notes
}
