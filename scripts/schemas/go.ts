/** Go in a module of its own, which goes again. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parse } from 'yaml'

const CONTROLLER_GEN = 'sigs.k8s.io/controller-tools/cmd/controller-gen@v0.20.0'

type Go = (...args: string[]) => string

export interface Module {
  readonly module: string
  readonly version: string
}

/** @throws Error if there is no Go */
export function needGo(): void {
  execFileSync('go', ['version'], { stdio: 'ignore' })
}

/**
 * The definitions that controller-gen makes of a package, by the names of its files.
 *
 * @param source Go that is in a file beside it, so that the module is needed
 * @param options of controller-gen's generator `crd`
 */
export function controllerGen(from: Module, source: string, options: string, paths: string): (file: string) => unknown {
  return inModule((go, directory) => {
    for (const replacement of replacements(go, from)) go('mod', 'edit', replacement)
    writeFileSync(path.join(directory, 'kinds.go'), source)
    go('get', `${from.module}@${from.version}`)
    go('mod', 'tidy')
    go('run', CONTROLLER_GEN, `crd:${options}`, `paths=${paths}`, 'output:dir=.')
    const texts = new Map(
      readdirSync(directory).map((name) => [name, readFileSync(path.join(directory, name), 'utf8')] as const),
    )
    return (file) => parse(texts.get(file) ?? '', { maxAliasCount: -1 })
  })
}

/** A file of a module. */
export function fileOf({ module, version }: Module, file: string): string {
  return inModule((go) => {
    const { Dir } = JSON.parse(go('mod', 'download', '-json', `${module}@${version}`))
    return readFileSync(path.join(Dir, file), 'utf8')
  })
}

function inModule<T>(use: (go: Go, directory: string) => T): T {
  const directory = mkdtempSync(path.join(tmpdir(), 'schemas-'))
  try {
    writeFileSync(path.join(directory, 'go.mod'), 'module schemas\n')
    const go: Go = (...args) =>
      execFileSync('go', args, { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
    return use(go, directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/**
 * Go ignores the `replace` lines of a dependency, but Kube-OVN's go.mod needs one: the version of k8s.io/kube-openapi that it
 * names does not exist otherwise. Its types do not import the other modules that it replaces with forks.
 */
function replacements(go: Go, { module, version }: Module): string[] {
  const { GoMod: file } = JSON.parse(go('list', '-m', '-json', `${module}@${version}`))
  const { Replace: replace } = JSON.parse(go('mod', 'edit', '-json', file))
  return ((replace ?? []) as { Old: { Path: string }; New: { Path: string; Version?: string } }[])
    .filter((each) => each.New.Version !== undefined && each.New.Path === each.Old.Path)
    .map((each) => `-replace=${each.Old.Path}=${each.New.Path}@${each.New.Version}`)
}
