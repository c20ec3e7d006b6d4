// Finds what documents and comments name and is not there: npm run links
// Looked up: links of Markdown to files and to headings; paths in backticks in CONTRIBUTING, docs/ and accepted ADRs; the
// first name of each {@link} in a TypeScript file, which must be declared or imported in that file.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const root = new URL('../', import.meta.url).pathname;
const tracked = execFileSync('git', ['ls-files', '-coz', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\0')
  .filter((file) => file !== '' && existsSync(join(root, file)));
// The last one is made by npm ci, and not tracked.
const known = new Set([...tracked, ...tracked.flatMap(parents), 'src/database/generated']);
const read = (file) => readFileSync(join(root, file), 'utf8');
const wrong = [];

for (const file of tracked.filter((each) => each.endsWith('.md') && each !== 'CHANGELOG.md')) {
  const text = read(file);
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path, heading] = target.split('#');
    const wanted = path === '' ? file : normalize(join(dirname(file), path));
    if (!known.has(wanted)) wrong.push(`${file}: links to ${target}, which is not there`);
    else if (heading && !headings(read(wanted)).has(heading)) {
      wrong.push(`${file}: links to ${target}, a heading that is not there`);
    }
  }
  if (/^\d{4}-\d\d-\d\d\. Replaced by/m.test(text)) continue;
  if (file !== 'CONTRIBUTING.md' && !file.startsWith('docs/')) continue;
  for (const [, path] of text.matchAll(
    /`((?:src|test|prisma|sandbox|bench|faults|clients|console|docs|\.ci)\/[\w./-]+)`/g,
  )) {
    if (!known.has(path.replace(/\/$/, '')))
      wrong.push(`${file}: names ${path}, which is not there`);
  }
}

for (const file of tracked.filter((each) => /\.tsx?$/.test(each))) {
  const text = read(file);
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '');
  for (const [, name] of text.matchAll(/\{@link ([A-Za-z_$][\w$]*)/g)) {
    if (!new RegExp(`\\b${name}\\b`).test(code)) {
      wrong.push(`${file}: {@link ${name}} names nothing of this file`);
    }
  }
}

if (wrong.length > 0) {
  console.error(wrong.join('\n'));
  process.exit(1);
}
console.log(`links: everything that ${tracked.length} files name is there`);

/** @returns the folders that a file is in. */
function parents(file) {
  const folder = dirname(file);
  return folder === '.' ? [] : [folder, ...parents(folder)];
}

/** @returns the anchors of a document's headings, as GitHub makes them. */
function headings(text) {
  return new Set(
    [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}
