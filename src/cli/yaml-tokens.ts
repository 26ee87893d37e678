import { type CST, Lexer, Parser } from 'yaml'

/** What yaml keeps to itself of its lexer, of the version that is locked: the tests see when another has it otherwise. */
interface Inside {
  /** How far the lines must be indented that a node goes on in. */
  indentNext: number
  parseQuotedScalar(): Generator<string, string>
  parseFlowCollection(): Generator<string, string>
}

/**
 * The tokens of a YAML file, as the API server's decoder has them: between quotes it does not look at indentation, so that a
 * closing quote may stand in the first column, and lines may begin with tabs. By the specification, which yaml goes by, they
 * may not.
 * @param brackets nor between brackets, where it does as little. Without it yaml finds out what was never closed
 * @see https://github.com/yaml/libyaml src/scanner.c yaml_parser_scan_flow_scalar; go-yaml is made of it
 */
export function* tokensOf(text: string, brackets: boolean): Generator<CST.Token> {
  const parser = new Parser()
  for (const lexeme of lenientLexer(brackets).lex(text)) yield* parser.next(lexeme)
  yield* parser.end()
}

function lenientLexer(brackets: boolean): Lexer {
  const lexer = new Lexer()
  const inside = lexer as unknown as Inside
  const states = ['parseQuotedScalar', ...(brackets ? ['parseFlowCollection' as const] : [])] as const
  for (const state of states) {
    const strict = inside[state]
    inside[state] = function* () {
      const { indentNext } = inside
      inside.indentNext = 0
      const next = yield* strict.call(inside)
      inside.indentNext = indentNext
      return next
    }
  }
  return lexer
}
