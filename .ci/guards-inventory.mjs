// Looks for guards that no mutation takes out: every row lock, advisory lock and predicate on a status in
// the SQL of src/ and prisma/ must be touched by an entry of mutations-list.mjs or mutations-guards.mjs, or
// be accepted there with a reason. (CHECKs, triggers and keys: test/schema.int-spec.ts.)
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

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
    for (const [kind, pattern] of GUARDS) {
      for (const { index, 0: found } of text.matchAll(pattern)) {
        const begin = text.lastIndexOf('\n', index) + 1;
        const line = text.slice(begin, text.indexOf('\n', index)).trim();
        if (/^(\*|\/\/|\/\*)/.test(line)) continue;
        counts[kind] = (counts[kind] ?? 0) + 1;
        if (ranges.some(([from, to]) => from >= 0 && from < index + found.length && index < to)) {
          continue;
        }
        const reason = Object.keys(accepted[file] ?? {}).find((part) => line.includes(part));
        if (reason !== undefined) {
          used.add(`${file}: ${reason}`);
          continue;
        }
        const number = text.slice(0, index).split('\n').length;
        wrong.push(`${file}:${number}: no mutation takes this ${kind} out: ${line}`);
      }
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
