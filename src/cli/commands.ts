import { agent } from './agent.ts'
import { install } from './install/install.ts'
import { uninstall } from './install/uninstall.ts'
import { plan } from './plan.ts'
import { repair } from './repair.ts'
import { ROOT } from './root.ts'
import { schema } from './schema.ts'
import { aboutItself, type Tool } from './self.ts'
import type { Command } from './usage/define.ts'
import { validate } from './validate/validate.ts'
import { verify } from './verify.ts'

/** In the order of help. */
export const COMMANDS: readonly Command[] = [
  validate,
  plan,
  verify,
  repair,
  schema,
  install,
  agent,
  uninstall,
  ...aboutItself(() => TOOL),
]

export const TOOL: Tool = { root: ROOT, commands: COMMANDS.map(({ definition }) => definition) }
