import { type Finding, finding } from './finding.ts'
import { type Position, positionsIn } from './position.ts'

/** The position of the first template action, `{{ … }}`; undefined if there is none. `{{` means nothing in JSON or YAML. */
export function templateIn(text: string): Position | undefined {
  const start = text.indexOf('{{')
  return start >= 0 && text.includes('}}', start) ? positionsIn(text)(start) : undefined
}

/**
 * Replaces all findings that only exist because the file is a template with one that says so: syntax errors from the first
 * action on, and values that are actions.
 */
export function withoutTemplate(findings: readonly Finding[], template: Position | undefined): readonly Finding[] {
  if (!template) return findings
  // Called again on its own output, it still yields one finding.
  const others = findings.filter((finding) => !isOfTemplate(finding, template))
  if (others.length === findings.length) return findings
  return [...others, finding('XCR013', TEMPLATE, { position: template })]
}

function isOfTemplate({ code, severity, position, message, syntax }: Finding, template: Position): boolean {
  if (severity !== 'error') return false
  if (code === 'XCR013') return true
  return syntax === true && position !== undefined ? !isBefore(position, template) : message.includes('{{')
}

function isBefore(a: Position, b: Position): boolean {
  return a.line < b.line || (a.line === b.line && a.column < b.column)
}

/** Notes instead of findings about parameters of an OpenShift Template, which have no value before it is processed. */
export function withoutParameters(findings: readonly Finding[]): Finding[] {
  return findings.map((one) => {
    const [parameter] = /\$\{\w+\}/.exec(one.message) ?? []
    if (parameter === undefined) return one
    const { code, severity, message, ...where } = one
    return finding('XCR021', `${parameter} is a parameter of the Template; ${PROCESS}`, where)
  })
}

const PROCESS = 'to check its value, run: oc process --local -f FILE -o yaml | x-calico-route validate -'
const TEMPLATE =
  'a Helm or Go template, which can only be checked after rendering; run: helm template CHART | x-calico-route validate -'
