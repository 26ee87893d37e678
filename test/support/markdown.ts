/** What tests look at in the project's pages: as much of GitHub's Markdown as these use. */

export interface Page {
  /** From the project's root. */
  readonly file: string
  readonly lines: readonly Line[]
}

interface Line {
  readonly number: number
  readonly text: string
  /** Inside a fenced block, or one of its fences. */
  readonly inCode: boolean
}

/** A part of a page, with the number of its first line. */
interface Found {
  readonly number: number
  readonly text: string
}

export interface Block extends Found {
  readonly language: string
}

const FENCE = /^\s*```/

export function pageOf(file: string, text: string): Page {
  let open = false
  const lines = text.replace(/\n$/, '').split('\n')
  return {
    file,
    lines: lines.map((line, i) => {
      const isFence = FENCE.test(line)
      const inCode = open || isFence
      if (isFence) open = !open
      return { number: i + 1, text: line, inCode }
    }),
  }
}

/** Its fenced blocks. */
export function blocks({ lines }: Page): Block[] {
  const found: Block[] = []
  let open: Block | undefined
  for (const { number, text, inCode } of lines) {
    if (!inCode) continue
    if (!FENCE.test(text)) {
      if (open) open = { ...open, text: `${open.text}${text}\n` }
    } else if (open) {
      found.push(open)
      open = undefined
    } else {
      open = { number, language: text.replace(FENCE, '').trim(), text: '' }
    }
  }
  return found
}

/** Paragraphs and the like, each as one text, since a span or a link may go on in the next line. */
function prose({ lines }: Page): Found[] {
  const found: { number: number; text: string }[] = []
  let last: { number: number; text: string } | undefined
  for (const { number, text, inCode } of lines) {
    if (inCode || text.trim() === '') {
      last = undefined
    } else if (last && !/^\s*(?:[-*|#]|\d+\.)/.test(text)) {
      last.text += ` ${text.trim()}`
    } else {
      last = { number, text }
      found.push(last)
    }
  }
  return found
}

/** What stands between backticks in its text. */
export function spans(page: Page): Found[] {
  return prose(page).flatMap(({ number, text }) =>
    [...text.matchAll(/(`+)(.+?)\1(?!`)/g)].map(([, , code = '']) => ({ number, text: code })),
  )
}

/** Links and pictures that lead into the project. */
export function links(page: Page): { number: number; target: string }[] {
  return prose(page).flatMap(({ number, text }) =>
    [...text.replaceAll(/(`+).+?\1(?!`)/g, 'code').matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => ({ number, target }))
      .filter(({ target }) => !/^[a-z]+:/.test(target)),
  )
}

/** The part of a page below a heading of the second level, up to the next one. It is empty if there is no such heading. */
export function section({ file, lines }: Page, heading: string): Page {
  const isHeading = ({ text, inCode }: Line) => !inCode && text.startsWith('## ')
  const start = lines.findIndex((line) => isHeading(line) && line.text === `## ${heading}`)
  if (start < 0) return { file, lines: [] }
  const after = lines.slice(start + 1)
  const end = after.findIndex(isHeading)
  return { file, lines: end < 0 ? after : after.slice(0, end) }
}

/** What can be written after # to get to a heading of it. */
export function anchors({ lines }: Page): string[] {
  const found: string[] = []
  for (const { text, inCode } of lines) {
    const [, heading] = (!inCode && /^#+ (.*)$/.exec(text)) || []
    if (heading === undefined) continue
    const slug = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
    const before = found.filter((one) => one === slug || one.replace(/-\d+$/, '') === slug).length
    found.push(before > 0 ? `${slug}-${before}` : slug)
  }
  return found
}

const COMMANDS = 'validate|plan|verify|repair|schema|install|agent|uninstall'
/** Where a word is a namespace or an object of Kubernetes, or a release or chart of Helm, it is no command. */
const OURS = /(?<!-n |-c |helm \w+ |charts\/|daemonset\/|ds\/|REGISTRY\/|name=)(?<![\w-])x-calico-route (.*)/g

/** The words after each call of `make` or of our executable, in its spans and blocks, up to what a shell would end it by. */
export function commands(page: Page, program: 'make' | 'x-calico-route'): { number: number; words: string[] }[] {
  const code = [...spans(page), ...blocks(page).flatMap(inLines)]
  return code.flatMap(({ number, text }) => {
    const bare = new RegExp(`^(?:${COMMANDS}) -.*`).exec(text) ?? []
    const called = text.matchAll(program === 'make' ? /(?:^|&& |\$ )make (.*)/g : OURS)
    const rests = [...called].map(([, rest = '']) => rest)
    return [...rests, ...(program === 'make' ? [] : bare)].map((rest) => ({ number, words: wordsOf(rest) }))
  })
}

/** Lines of a script, or those that are typed after a prompt: the others are what came of them. */
function inLines({ number, language, text }: Block): Found[] {
  const lines = text.split('\n').map((line, i) => ({ number: number + 1 + i, text: line }))
  return language === 'sh' ? lines : lines.filter((line) => line.text.startsWith('$ '))
}

function wordsOf(text: string): string[] {
  return text
    .replace(/(?: #|[|;&<>)`]).*$/, '')
    .trim()
    .split(/\s+/)
    .filter(Boolean)
}
