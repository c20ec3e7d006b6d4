// Takes every guard of docs/security.md, and every lock and status predicate, out of the code, one at a time,
// and expects the test that is named for it to fail: npm run mutations [-- --only TEXT --jobs N --trust --alone]
// With --inventory it only looks whether every guard there is has a mutation: a part of npm run check. With
// --compile it only type-checks every removal.
//
// The guards are in mutations-list.mjs and mutations-guards.mjs. Works in copies of the tree in a temporary
// directory, on what is in the working tree now. A test must pass with its guard in place first, or its
// failing would prove nothing; --trust leaves that out, and --alone does only that: it runs each test by itself,
// with every guard in place. --only may come several times. --record FILE keeps what was noticed, and leaves it out the next time: for a run in parts, of
// one commit.
import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs, stripVTControlCharacters } from 'node:util';
import { compiler } from './compiles.mjs';
import { inventory } from './guards-inventory.mjs';
import guards, { accepted } from './mutations-guards.mjs';
import threats from './mutations-list.mjs';
import { unproven } from './threats.mjs';

/** How long one test may take, in milliseconds: one that hangs has noticed nothing. */
const TIMEOUT_MS = 240_000;

const root = new URL('../', import.meta.url).pathname;
const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [''] },
    jobs: { type: 'string', default: '2' },
    trust: { type: 'boolean', default: false },
    alone: { type: 'boolean', default: false },
    inventory: { type: 'boolean', default: false },
    compile: { type: 'boolean', default: false },
    record: { type: 'string' },
  },
});
const mutations = [...threats, ...guards];

const found = inventory(root, mutations, accepted);
const wrong = [...mutations.flatMap(wrongWith), ...unproven(root, threats), ...found.wrong];
if (wrong.length > 0) {
  console.error(wrong.join('\n'));
  process.exit(1);
}
if (options.inventory) {
  const kinds = Object.entries(found.counts).map(([kind, count]) => `${count} ${kind}s`);
  console.log(
    `${kinds.join(', ')}: each has a mutation, or a reason; ${mutations.length} mutations`,
  );
  process.exit(0);
}
const wanted = mutations.filter(({ row, guard, file }) =>
  options.only.some((text) =>
    `${row}\n${guard}\n${file}`.toLowerCase().includes(text.toLowerCase()),
  ),
);
if (wanted.length === 0) {
  console.error(`no row, guard or file has "${options.only.join('" or "')}" in it`);
  process.exit(1);
}

const errorOf = compiler(root);
if (options.compile) {
  const broken = wanted.flatMap(({ row, guard, file, find, replace }) => {
    const error = errorOf(
      file,
      readFileSync(join(root, file), 'utf8').replace(find, () => replace),
    );
    return error === undefined ? [] : [`${row}: ${guard}: ${file}: ${error}`];
  });
  if (broken.length > 0) console.error(broken.join('\n'));
  console.log(`${wanted.length - broken.length} of ${wanted.length} removals compile`);
  process.exit(broken.length > 0 ? 1 : 0);
}

const scratch = mkdtempSync(join(tmpdir(), 'bursar-mutations-'));
/** Processes under way; each leads a group of its own. */
const running = new Set();
let isStopping = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    isStopping = true;
    for (const child of running) end(child, 'SIGTERM');
    // The tests stop their Postgres when they are told to.
    setTimeout(() => finish(130), 5_000);
  });
}

/** Outcome of each test with every guard in place, by file and name: asked once. */
const untouched = new Map();
const version = options.record === undefined ? undefined : committedTree();
const results = options.record === undefined ? [] : recorded(options.record);
const waiting = wanted.filter((each) => !results.some((result) => nameOf(result) === nameOf(each)));
if (results.length > 0)
  console.log(`${results.length} were noticed before, ${waiting.length} to go`);
const jobs = Math.min(Number(options.jobs), waiting.length);
const trees = Array.from({ length: jobs }, (_, n) => copyOfTree(`tree-${n}`));
// One Postgres for all tests, with the schema as it is.
const shared = await import(join(root, 'test/support/global-setup.mjs'));
await shared.default();
if (options.alone) await runAlone();
await Promise.all(trees.map(work));

console.log(`\n${table(results)}\n`);
const unnoticed = results.filter(({ verdict }) => verdict !== 'noticed');
for (const { row, guard, verdict, why } of unnoticed) {
  console.log(`NOT PROVEN  ${row}: ${guard} (${verdict}${why ? `: ${why}` : ''})`);
}
console.log(
  `${results.length - unnoticed.length} of ${results.length} guards are missed when gone`,
);
await finish(unnoticed.length > 0 ? 1 : 0);

/** Runs each named test by itself, with every guard in place. */
async function runAlone() {
  const tests = new Map(waiting.map((mutation) => [keyOf(mutation), mutation]));
  const left = [...tests.values()];
  let failed = 0;
  const one = async (tree) => {
    for (let test = left.shift(); test; test = left.shift()) {
      const { outcome, why, seconds } = await run(tree, test);
      console.log(`${outcome.padEnd(10)}  ${test.test}: ${test.name} (${seconds} s)`);
      if (outcome === 'passed') continue;
      failed += 1;
      console.log(`            ${why ?? 'without a reason'}`);
    }
  };
  await Promise.all(trees.map(one));
  console.log(`${tests.size - failed} of ${tests.size} tests pass by themselves`);
  await finish(failed > 0 ? 1 : 0);
}

/** Takes out one guard after the other, until none is left. */
async function work(tree) {
  for (let mutation = waiting.shift(); mutation; mutation = waiting.shift()) {
    const { row, guard } = mutation;
    const result = { ...mutation, ...(await judge(tree, mutation)) };
    results.push(result);
    if (version !== undefined && result.verdict === 'noticed') {
      appendFileSync(options.record, `${JSON.stringify({ version, ...result })}\n`);
    }
    console.log(`${result.verdict.padEnd(10)}  ${row}: ${guard} (${result.seconds} s)`);
    if (result.why) console.log(`            ${result.why}`);
  }
}

function keyOf({ test, name, inRow }) {
  return `${test} ${name} ${inRow}`;
}

function nameOf({ row, guard, file }) {
  return `${row}\n${guard}\n${file}`;
}

/** The tree of the commit that is checked out. A record is of one tree, so nothing may differ from it. */
function committedTree() {
  const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  if (git('status', '--porcelain') !== '') {
    console.error('--record: commit your changes first, so that the record says what it is of');
    process.exit(1);
  }
  return git('rev-parse', 'HEAD^{tree}');
}

/** The wanted mutations that a file says were noticed in this version. */
function recorded(file) {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const names = new Set(wanted.map(nameOf));
  return lines.filter((line) => line.version === version && names.has(nameOf(line)));
}

async function judge(tree, mutation) {
  const key = keyOf(mutation);
  if (options.trust) untouched.set(key, { outcome: 'passed' });
  if (!untouched.has(key)) untouched.set(key, run(tree, mutation));
  const before = await untouched.get(key);
  if (before.outcome !== 'passed') {
    const why = before.why ?? 'without a reason';
    return { verdict: `${before.outcome} with the guard in place`, why, seconds: before.seconds };
  }
  const path = join(tree, mutation.file);
  const whole = readFileSync(path, 'utf8');
  const changed = whole.replace(mutation.find, () => mutation.replace);
  const error = errorOf(mutation.file, changed);
  if (error !== undefined) return { verdict: 'did not compile', why: error, seconds: 0 };
  try {
    writeFileSync(path, changed);
    const { outcome, why, seconds } = await run(tree, mutation);
    const verdict = { passed: 'UNNOTICED', failed: 'noticed' }[outcome] ?? outcome;
    return { verdict, why, seconds };
  } finally {
    writeFileSync(path, whole);
  }
}

/**
 * Runs a test: "passed", "failed", "hung", or "did not run", which no guard's absence should cause.
 */
async function run(tree, { file, test, name, inRow, env = {} }) {
  const began = performance.now();
  const report = `${tree}.json`;
  rmSync(report, { force: true });
  const jest = [
    ...['node_modules/jest/bin/jest.js', '--ci', '--runInBand', '--forceExit', '--json'],
    ...[`--outputFile=${report}`, `--cacheDirectory=${scratch}/cache`],
    ...['--runTestsByPath', test, '-t', patternOf(name, inRow)],
  ];
  const isSpec = test.endsWith('spec.ts');
  // A server of its own where the schema, or what starts servers, is changed.
  const own = /^(prisma|src\/database)\//.test(file) ? { TEST_POSTGRES_URL: '' } : {};
  const { code, output, isLate } = await start(tree, isSpec ? jest : [test], { ...own, ...env });
  const found = isSpec ? readReport(report, output) : readOutput(code, output, name);
  const outcome = isLate ? { outcome: 'hung' } : found;
  return { ...outcome, seconds: Math.round((performance.now() - began) / 1000) };
}

function start(tree, args, env) {
  if (isStopping) return new Promise(() => {});
  const child = spawn(process.execPath, args, {
    cwd: tree,
    env: { ...process.env, BURSAR_ALL_COLUMNS: '1', ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  let isLate = false;
  const late = setTimeout(() => {
    isLate = true;
    end(child, 'SIGTERM');
    setTimeout(() => end(child, 'SIGKILL'), 10_000).unref();
  }, TIMEOUT_MS);
  return new Promise((resolve) => {
    child.on('exit', (code) => {
      clearTimeout(late);
      // End what a failed test left behind.
      end(child, 'SIGKILL');
      running.delete(child);
      resolve({ code, output, isLate });
    });
  });
}

function end(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // All of the group has ended.
  }
}

function readReport(report, output) {
  let suites;
  try {
    suites = JSON.parse(readFileSync(report, 'utf8')).testResults;
  } catch {
    return { outcome: 'did not run', why: firstLine(output) };
  }
  const tests = suites.flatMap(({ assertionResults }) => assertionResults);
  const failed = tests.find(({ status }) => status === 'failed');
  if (failed) {
    return { outcome: 'failed', why: firstLine(failed.failureMessages.join('\n')) };
  }
  if (tests.some(({ status }) => status === 'passed')) return { outcome: 'passed' };
  const [{ message = '' } = {}] = suites;
  return { outcome: 'did not run', why: firstLine(message) || 'no test has this name' };
}

function readOutput(code, output, name) {
  if (code === 0) return { outcome: 'passed' };
  const line = output.split('\n').find((each) => each.includes(name));
  return line
    ? { outcome: 'failed', why: line }
    : { outcome: 'did not run', why: firstLine(output) };
}

function firstLine(text) {
  const lines = stripVTControlCharacters(text).split('\n');
  return lines
    .map((line) => line.trim())
    .filter((line) => line !== '' && line !== '●')
    .slice(0, 3)
    .join(' | ')
    .slice(0, 240);
}

/** A test's name as Jest's -t takes it: what it.each fills in may be anything. */
/** @param inRow - of a test with a table: what a row says first, where one row suffices to notice. */
function patternOf(name, inRow = '.*') {
  return name
    .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replace(/%[sjd]/, inRow)
    .replace(/%[sjd]/g, '.*');
}

function copyOfTree(name) {
  const tree = join(scratch, name);
  const files = execFileSync('git', ['ls-files', '-coz', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const file of files.split('\0').filter(Boolean)) {
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    cpSync(join(root, file), join(tree, file));
  }
  const generated = 'src/database/generated';
  cpSync(join(root, generated), join(tree, generated), { recursive: true });
  for (const folder of ['.', 'console', 'clients/typescript']) {
    const from = join(root, folder, 'node_modules');
    if (!existsSync(from)) continue;
    const modules = [from, join(tree, folder)];
    try {
      // Links where the file system can.
      execFileSync('cp', ['-al', ...modules], { stdio: 'ignore' });
    } catch {
      execFileSync('cp', ['-a', ...modules]);
    }
  }
  return tree;
}

function wrongWith({ row, guard, file, find, replace }) {
  const times = readFileSync(join(root, file), 'utf8').split(find).length - 1;
  const where = `${row}: ${guard}: ${file}`;
  if (times !== 1) return [`${where} has this ${times} times, not once:\n${find}`];
  return find === replace ? [`${where}: nothing is changed`] : [];
}

function table(list) {
  const head = ['row', 'guard taken out', 'test', 's', 'verdict'];
  const body = list.map(({ row, guard, test, name, seconds, verdict }) => [
    row,
    guard,
    `${test}: "${name}"`,
    String(seconds),
    verdict,
  ]);
  body.sort(([a], [b]) => a.localeCompare(b));
  return [head, head.map(() => '---'), ...body]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}

async function finish(code) {
  for (const child of running) end(child, 'SIGKILL');
  await globalThis.cleanUpTestDatabase?.();
  rmSync(scratch, { recursive: true, force: true, maxRetries: 10 });
  process.exit(code);
}
