import { execa } from 'execa'
import type { Command } from './platform.ts'

/**
 * Calls the product as a runtime would, without Node in the environment, and with a stray NODE_OPTIONS.
 * @throws Error that says which answer was wrong
 */
export async function smokeTest([file = '', ...words]: Command): Promise<void> {
  const call = (env: Record<string, string>) =>
    execa(file, words, { env, extendEnv: false, input: '', timeout: 60_000, reject: false, stripFinalNewline: false })
  const wrong = (what: string, answer: Awaited<ReturnType<typeof call>>): never => {
    const how = answer.exitCode ?? answer.signal ?? answer.originalMessage
    throw new Error(
      `smoke test: ${what}: exit ${how}, stdout ${JSON.stringify(answer.stdout)}, stderr ${JSON.stringify(answer.stderr)}`,
    )
  }

  for (const env of [{ CNI_COMMAND: 'VERSION' }, { CNI_COMMAND: 'VERSION', NODE_OPTIONS: '--garbage' }]) {
    const version = await call(env)
    if (version.exitCode !== 0 || version.stderr !== '' || !namesVersions(version.stdout))
      wrong(JSON.stringify(env), version)
  }

  const about = await call({})
  if (about.exitCode !== 0 || about.stdout !== '' || about.stderr.trim() === '') wrong('no CNI_COMMAND', about)
}

function namesVersions(stdout: string): boolean {
  try {
    const { supportedVersions } = JSON.parse(stdout) as { supportedVersions?: unknown }
    return Array.isArray(supportedVersions) && supportedVersions.length > 0
  } catch {
    return false
  }
}
