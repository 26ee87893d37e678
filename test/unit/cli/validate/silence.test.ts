import { describe, expect, it } from 'vitest'
import { silencersIn } from '../../../../src/cli/validate/silence.ts'
import { codes, list, printed } from '../../../support/validate.ts'

const WARNED = list([
  { type: 'calico' },
  { type: 'x-calico-route', capabilities: { mac: true }, colour: 1, routes: [{ dst: '10.50.0.0/16' }] },
])
const HEAD = 'apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\n'
const ignore = (...words: string[]) => `# x-calico-route: ignore ${words.join(' ')}`

const nad = ({ head = '', above = '', behind = '', config = WARNED }) =>
  `${head}${HEAD}metadata: {name: a}\nspec:\n${above}  config: |${behind}\n    ${config}\n`

describe('a comment in YAML', () => {
  it.each<[string, string, string[]]>([
    ['at the head of the document', nad({ head: `${ignore('XCR202')}\n` }), ['7:122 XCR201']],
    [
      'behind other comments there',
      nad({ head: `# A network.\n\n${ignore('XCR202')}\n# of ours\n` }),
      ['10:122 XCR201'],
    ],
    ['on the line above', nad({ above: `  ${ignore('XCR202')}\n` }), ['7:122 XCR201']],
    ['at the end of the line', nad({ behind: ` ${ignore('XCR202')}` }), ['6:122 XCR201']],
    ['with two codes', nad({ behind: ` ${ignore('XCR202,', 'XCR201')}` }), []],
    ['with a reason', nad({ behind: ` ${ignore('XCR202 XCR201', 'because tuning is XCR')}` }), []],
    ['twice', nad({ behind: ` ${ignore('XCR202')}`, above: `  ${ignore('XCR201')}\n` }), []],
    ['above what is around it', nad({}).replace('spec:', `${ignore('XCR201', 'XCR202')}\nspec:`), []],
    [
      'of another document',
      `${ignore('XCR202')}\nkind: Pod\n---\n${nad({})}`,
      ['1:1 XCR020', '9:94 XCR202', '9:122 XCR201'],
    ],
    [
      'above something else',
      nad({}).replace('metadata', `${ignore('XCR202')}\nmetadata`),
      ['3:1 XCR020', '7:94 XCR202', '7:122 XCR201'],
    ],
  ])('%s is heard where it should be', async (_, text, expected) => {
    expect(await codes(text)).toEqual(expected)
  })

  it('that is narrower takes the finding from a wider one, which then silences nothing', async () => {
    const text = nad({ head: `${ignore('XCR202')}\n`, above: `  ${ignore('XCR202', 'XCR201')}\n` })
    expect(await codes(text)).toEqual(['1:1 XCR020'])
  })

  it.each([
    [
      ignore('XCR103'),
      'note: XCR103 is an error, which cannot be silenced; remove this comment',
      'error: x-calico-route is alone and has no NIC to work on; write a list, "plugins", with it after the plugin that makes the NIC (calico, kube-ovn, ...)',
    ],
    [ignore('XCR205'), 'note: XCR205 was not found here; remove this comment'],
    [ignore('XCR999'), 'note: no finding has the code XCR999; write the one at the end of its line'],
    [ignore('all'), 'note: no code after "ignore"; write one, such as XCR205'],
    ['#x-calico-route:ignore', 'note: no code after "ignore"; write one, such as XCR205'],
  ])('%s silences nothing', async (comment, said, ...more) => {
    const config = list([], { plugins: undefined, type: 'x-calico-route' })
    const { lines, status } = await printed(
      nad({ head: `${comment}\n`, config: more.length > 0 ? config : list([{ type: 'a' }]) }),
    )
    expect(lines[0]).toBe(`stdin:1:1: ${said} [XCR020]`)
    expect(lines.slice(1, -1)).toEqual(more.map((one) => expect.stringContaining(one)))
    expect(status).toBe(more.length)
  })

  it('is counted, and --strict no longer fails', async () => {
    const text = nad({ head: `${ignore('XCR202', 'XCR201')}\n` })
    expect(await printed(text, '--strict')).toEqual({
      status: 0,
      lines: ['stdin: ok (1 chain: calico, x-calico-route; 2 silenced)'],
    })
    const [file] = JSON.parse((await printed(text, '-o', 'json')).lines.join('\n')).files
    expect(file).toMatchObject({ problems: [], silenced: 2 })
  })

  it('is not read in JSON', async () => {
    const text = list([{ type: 'calico' }], { x: `x ${ignore('XCR202')}` })
    expect(await codes(text)).toEqual([])
  })
})

describe('the lines that a comment is about', () => {
  it.each<[string, string, number[]]>([
    ['the next line alone', 'x: 1\n# x-calico-route: ignore XCR1\na: 1\nb: 2\n', [3, 3]],
    ['what is indented below', 'x: 1\n# x-calico-route: ignore XCR1\na:\n  b: 1\n\n  c: 2\nd: 3\n', [3, 6]],
    ['a list as little indented as its key', 'x: 1\na: # x-calico-route: ignore XCR1\n- b\n- c\nd: 3\n', [2, 4]],
    ['one item of a list', 'x: 1\na:\n- b: 1 # x-calico-route: ignore XCR1\n  c: 2\n- d: 3\n', [3, 4]],
    ['the rest of the file', 'x: 1\na: # x-calico-route: ignore XCR1\n  b: 1', [2, 3]],
    ['a document of several', '---\n# x-calico-route: ignore XCR1\na: 1\nb: 1\n---\nc: 1\n', [3, 4]],
  ])('are %s', (_, text, expected) => {
    expect(silencersIn(text).map(({ from, to }) => [from, to])).toEqual([expected])
  })
})
