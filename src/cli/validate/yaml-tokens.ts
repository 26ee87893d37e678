import { type CST, Lexer, Parser } from 'yaml'

/** Private parts of yaml's lexer, in the locked version. The tests notice if another version differs. */
interface Inside {
  /** The indentation that the next lines of a node must have. */
  indentNext: number
  parseQuotedScalar(): Generator<string, string>
  parseFlowCollection(): Generator<string, string>
}

/**
 * The tokens of a YAML file, as the API server's decoder reads it: it ignores indentation between quotes, so that a closing
 * quote may be in the first column and lines may begin with tabs. The specification, and so yaml, forbids that.
 * @param brackets ignore it between brackets too, as the decoder does. Without that, yaml can say what was never closed
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
