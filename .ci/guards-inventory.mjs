// Looks for guards that no mutation takes out: every row lock, advisory lock and predicate on a status in
// the SQL of src/ and prisma/ must be touched by an entry of mutations-list.mjs or mutations-guards.mjs, or
// be accepted there with a reason. (CHECKs, triggers and keys: test/schema.int-spec.ts.) The same holds for
// every throw of the rooms that decide whom and which chain to believe.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** Files that only show what there is: nothing depends on what they read. */
const SHOWS =
  /^src\/(ops\/|check\/|audit\/(?!sealer)|database\/generated\/)|quote\.ts$|-view\.ts$|spec\.ts$/;

const GUARDS = [
  ['row lock', /FOR (?:NO KEY )?UPDATE/g],
  ['advisory lock', /(?<!un)pg_advisory(?:_xact)?_lock\(/g],
  [
    'status predicate',
    /(?<!SET )\bstatus (?:=|<>|IN) [('"]|NOT \w*\.?is_over|AND block_number = \$|\.status !== '(?:authorized|pending_approval)'/g,
  ],
];

/** Rooms in which every throw is a guard. */
const REFUSES = /^src\/(access|settlement)\/|^src\/treasury\/(networks|inspection)\.ts$/;

/** @returns one line for every guard that could be taken out without anybody trying it, and how many there are. */
export function inventory(root, mutations, accepted) {
  const files = execFileSync('git', ['ls-files', 'src/*.ts', 'prisma/*.ts'], {
    cwd: root,
    encoding: 'utf8',
  });
  const wrong = [];
  const counts = {};
  const used = new Set();
  for (const file of files.split('\n').filter((each) => each !== '' && !SHOWS.test(each))) {
    const text = readFileSync(join(root, file), 'utf8');
    const ranges = mutations
      .filter((each) => each.file === file)
      .map(({ find }) => [text.indexOf(find), text.indexOf(find) + find.length]);
    for (const { kind, from, to, at } of [...matches(text), ...throws(file, text)]) {
      counts[kind] = (counts[kind] ?? 0) + 1;
      if (ranges.some(([begin, end]) => begin >= 0 && begin < to && from < end)) continue;
      const line = lineAt(text, at);
      const reason = Object.keys(accepted[file] ?? {}).find((part) => line.includes(part));
      if (reason !== undefined) {
        used.add(`${file}: ${reason}`);
        continue;
      }
      const number = text.slice(0, at).split('\n').length;
      wrong.push(`${file}:${number}: no mutation takes this ${kind} out: ${line}`);
    }
  }
  for (const [file, reasons] of Object.entries(accepted)) {
    for (const part of Object.keys(reasons)) {
      if (!used.has(`${file}: ${part}`))
        wrong.push(`${file}: nothing there needs "${part}" accepted`);
    }
  }
  return { wrong, counts };
}

/** The guards in SQL: where each stands in a file. Comments are left out. */
function matches(text) {
  return GUARDS.flatMap(([kind, pattern]) =>
    [...text.matchAll(pattern)]
      .filter(({ index }) => !/^(\*|\/\/|\/\*)/.test(lineAt(text, index)))
      .map(({ index, 0: found }) => ({ kind, from: index, to: index + found.length, at: index })),
  );
}

/**
 * The throws of a file that must all be guarded. Each reaches from its condition (the `if`, or the `try` whose
 * `catch` it stands in) to its end: a mutation of any part of that takes it out.
 */
function throws(file, text) {
  if (!REFUSES.test(file)) return [];
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const found = [];
  const visit = (node) => {
    if (ts.isThrowStatement(node)) {
      const at = node.getStart();
      found.push({ kind: 'throw', from: conditionOf(node)?.getStart() ?? at, to: node.end, at });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function conditionOf(node) {
  for (let { parent } = node; parent && !ts.isFunctionLike(parent); parent = parent.parent) {
    if (ts.isIfStatement(parent)) return parent;
    if (ts.isCatchClause(parent)) return parent.parent;
  }
  return undefined;
}

function lineAt(text, index) {
  return text.slice(text.lastIndexOf('\n', index) + 1, text.indexOf('\n', index)).trim();
}
