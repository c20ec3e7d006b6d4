// Holds comments to the rule that a sentence starts with its subject or an imperative: no comment begins with one
// of the words below. npm run english
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** A question may begin with them. */
const OPENINGS =
  /^(What|Who|Whose|Whoever|Whatever|Of|That|As|Said|Asked|Should|Behind)\b(?![^.]*\?)/;

const root = new URL('../', import.meta.url).pathname;
const files = execFileSync(
  'git',
  ['ls-files', '-coz', '--exclude-standard', '*.ts', '*.tsx', '*.mjs'],
  {
    cwd: root,
    encoding: 'utf8',
  },
)
  .split('\0')
  .filter(Boolean);

const found = files.flatMap((file) => {
  const text = readFileSync(join(root, file), 'utf8');
  return comments(file, text)
    .filter(({ body }) => OPENINGS.test(body))
    .map(({ line, body }) => `${file}:${line}: ${body.split('\n')[0]}`);
});
if (found.length > 0) {
  console.error(
    `${found.join('\n')}\nthese comments begin with a word that hides the subject. ` +
      'Begin with the subject or an imperative verb; a question may begin so.',
  );
  process.exit(1);
}
console.log(`english: the comments of ${files.length} files begin with their subject`);

/**
 * The comments of a source text. Lines of `//` that follow each other are one comment. Parsed, since a scanner alone cannot
 * tell the rest of a template from code.
 */
function comments(file, text) {
  const kind = file.endsWith('.tsx') ? ts.ScriptKind.TSX : undefined;
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, false, kind);
  const found = new Map();
  const visit = (node) => {
    const leading = ts.getLeadingCommentRanges(text, node.pos) ?? [];
    const trailing = ts.getTrailingCommentRanges(text, node.end) ?? [];
    for (const range of [...leading, ...trailing]) found.set(range.pos, range);
    for (const child of node.getChildren(source)) visit(child);
  };
  visit(source);
  const all = [];
  let lastLine = -1;
  for (const { pos, end, kind } of [...found.values()].sort((a, b) => a.pos - b.pos)) {
    const line = source.getLineAndCharacterOfPosition(pos).line + 1;
    const body = text
      .slice(pos, end)
      .replace(/^\/\*+|\*\/$/g, '')
      .replace(/^[ \t]*(\/\/+|\*(?!\/))[ \t]?/gm, '')
      .trim();
    const isLine = kind === ts.SyntaxKind.SingleLineCommentTrivia;
    if (isLine && line === lastLine + 1) all.at(-1).body += `\n${body}`;
    else all.push({ line, body });
    lastLine = isLine ? line : -1;
  }
  return all;
}
