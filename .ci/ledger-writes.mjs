// Refuses SQL that writes grants, payments, balances of wallets or events outside of src/ledger, which keeps the
// invariants of these tables. Its own changes are functions of src/ledger; others call them.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const root = new URL('../', import.meta.url);
const TABLES = 'grants|payments|wallet_balances|events';
const WRITES = new RegExp(
  `\\b(?:INSERT\\s+INTO|UPDATE(?:\\s+ONLY)?|DELETE\\s+FROM|TRUNCATE(?:\\s+TABLE)?|MERGE\\s+INTO|COPY)\\s+"?(${TABLES})"?\\b`,
  'gi',
);
const MODELS = /\.(grant|payment|walletBalance|event)\.(create|update|upsert|delete)/g;

const files = execFileSync('git', ['ls-files', 'src/*.ts'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file !== '' && !/^src\/(ledger|database\/generated)\/|\.spec\.ts$/.test(file));
const wrong = files.flatMap((file) => {
  const text = readFileSync(new URL(file, root), 'utf8');
  return [...text.matchAll(WRITES), ...text.matchAll(MODELS)].map(
    ({ 0: found, index }) =>
      `${file}:${text.slice(0, index).split('\n').length}: "${found}"; only src/ledger writes this table`,
  );
});
if (wrong.length > 0) {
  console.error(wrong.join('\n'));
  process.exit(1);
}
console.log(`${files.length} files outside of src/ledger write none of its tables`);
