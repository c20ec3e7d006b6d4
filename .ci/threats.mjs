// Reads the threats of docs/security.md: a heading for each attack, a point for each clause of the answer, and
// below it the tests that fail without that clause.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const PROOF = /^ {2}- `([^`]+)`: "(.+)"$/;

/** @returns the attacks in order, each with its clauses, each with its proofs: a test file and a test's name. */
export function threats(root) {
  const text = readFileSync(join(root, 'docs/security.md'), 'utf8');
  const [, section = ''] = text.split(/^## Threats$/m);
  const attacks = [];
  for (const line of section.split(/^## /m)[0].split('\n')) {
    if (line.startsWith('### ')) attacks.push({ attack: line.slice(4), clauses: [] });
    const clauses = attacks.at(-1)?.clauses ?? [];
    if (line.startsWith('- ')) clauses.push({ answer: line.slice(2), proofs: [] });
    if (!line.startsWith('  - ')) continue;
    const [, test, name] = PROOF.exec(line) ?? [];
    clauses.at(-1).proofs.push({ line: line.trim(), test, name });
  }
  return attacks;
}

/** @returns one line for every clause that no test or no mutation proves, and for every mutation of no attack. */
export function unproven(root, mutations) {
  const attacks = threats(root);
  const wrong = [];
  if (attacks.length === 0) wrong.push('docs/security.md: no attack is listed below "## Threats"');
  for (const [index, { attack }] of attacks.entries()) {
    if (attacks.findIndex((each) => each.attack === attack) !== index) {
      wrong.push(`docs/security.md: "${attack}" is listed twice`);
    }
  }
  for (const { attack, clauses } of attacks) {
    if (clauses.length === 0) wrong.push(`docs/security.md: "${attack}" has no answer`);
    for (const { answer, proofs } of clauses) {
      const where = `docs/security.md: "${attack}": "${answer}"`;
      for (const { line, test, name } of proofs) {
        if (!test || !isThere(root, test, name)) wrong.push(`${where}: no such test: ${line}`);
      }
      const isProven = mutations.some(
        ({ row, ...by }) =>
          row === attack && proofs.some(({ test, name }) => by.test === test && by.name === name),
      );
      if (!isProven) wrong.push(`${where}: no mutation is noticed by one of its tests`);
    }
  }
  const known = new Set(attacks.map(({ attack }) => attack));
  for (const { row } of mutations) {
    if (!known.has(row)) wrong.push(`docs/security.md has no attack "${row}"`);
  }
  return wrong;
}

function isThere(root, test, name) {
  const path = join(root, test);
  return (
    /spec\.ts$|\.mjs$/.test(test) && existsSync(path) && readFileSync(path, 'utf8').includes(name)
  );
}
