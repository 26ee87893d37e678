/** What our documents tell an operator to type, and what they say comes of it. */
import { textOf } from '../support/manifests.ts'
import { type Block, blocks, pageOf, spans } from '../support/markdown.ts'

/** The only block of a page that holds these words. */
function blockWith(file: string, words: string): Block {
  const found = blocks(pageOf(file, textOf(file))).filter(({ text }) => text.includes(words))
  if (found.length !== 1 || !found[0]) throw new Error(`${file}: ${found.length} blocks with ${words}`)
  return found[0]
}

/**
 * A script of a page.
 * @param words stand in it and in no other
 * @param own what the reader writes for each word in capitals, such as REGISTRY
 */
export function scriptOf(file: string, words: string, own: Record<string, string> = {}): string {
  const { language, text } = blockWith(file, words)
  const script = language === 'sh' ? text : typedIn(text).join('\n')
  return Object.entries(own).reduce(
    (made, [word, value]) => made.replaceAll(new RegExp(`\\b${word}\\b`, 'g'), value),
    script,
  )
}

const typedIn = (session: string) => session.split('\n').flatMap((line) => (line.startsWith('$ ') ? line.slice(2) : []))

/** What a session shows below what was typed, a line each. */
export function shownIn(file: string, words: string): string[] {
  return blockWith(file, words)
    .text.split('\n')
    .filter((line) => line !== '' && !line.startsWith('$ '))
}

/** A block that is no script, such as a part of a manifest. */
export const partOf = (file: string, words: string): string => blockWith(file, words).text

/** A command in a sentence. */
export function spanOf(file: string, words: string): string {
  const [found] = spans(pageOf(file, textOf(file))).filter(({ text }) => text.includes(words))
  if (!found) throw new Error(`${file}: nothing with ${words}`)
  return found.text
}
