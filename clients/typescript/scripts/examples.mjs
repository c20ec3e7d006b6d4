// Fails on an export without TSDoc or without an example in it.
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ENTRIES = [
  'index',
  'x402',
  'tools/index',
  'tools/ai-sdk',
  'tools/langchain',
  'tools/openai-agents',
];

const root = fileURLToPath(new URL('../src/', import.meta.url));
const files = ENTRIES.map((entry) => `${root}${entry}.ts`);
const program = ts.createProgram(files, {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  skipLibCheck: true,
});
const checker = program.getTypeChecker();
const wanting = [];
let count = 0;
for (const file of files) {
  const source = program.getSourceFile(file);
  const module = source && checker.getSymbolAtLocation(source);
  if (!module) throw new Error(`${file} exports nothing`);
  for (const exported of checker.getExportsOfModule(module)) {
    const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0;
    const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
    const text = ts.displayPartsToString(symbol.getDocumentationComment(checker));
    const hasExample = symbol.getJsDocTags(checker).some(({ name }) => name === 'example');
    count += 1;
    if (text === '' || !hasExample) wanting.push(`${file.slice(root.length)}: ${exported.name}`);
  }
}
if (wanting.length > 0) {
  throw new Error(`exports without TSDoc and an @example:\n${wanting.join('\n')}`);
}
console.log(`TSDoc: ${count} exports, each with an example`);
