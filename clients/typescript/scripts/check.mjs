// Checks of a release: an example on each export, its size, its manifest (publint), its types (attw), and five lines that run from an
// empty folder. `npm run check --workspace clients/typescript`.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import './examples.mjs';

const MAX_BYTES = 8_192;

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'bursar-sdk-'));
const run = (command, args, cwd = root) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

try {
  const [{ filename, files }] = JSON.parse(
    run('npm', ['pack', '--json', '--silent', '--pack-destination', folder]),
  );
  const tarball = join(folder, filename);
  const stray = files.filter(
    ({ path }) => !/^(dist\/|README\.md$|LICENSE$|package\.json$)/.test(path),
  );
  if (stray.length > 0) throw new Error(`packed by mistake: ${stray.map(({ path }) => path)}`);

  const { outputFiles, metafile } = await build({
    entryPoints: [join(root, 'dist/index.js')],
    bundle: true,
    minify: true,
    // Chunks that are loaded at their first use, such as events, are no part of the core.
    splitting: true,
    outdir: folder,
    metafile: true,
    format: 'esm',
    target: 'es2022',
    // Nothing of Node may be needed.
    platform: 'browser',
    write: false,
  });
  const core = [outputFiles.find(({ path }) => path.endsWith('index.js')).path];
  for (const path of core) {
    const { imports } = metafile.outputs[relative(process.cwd(), path)];
    for (const { path: other, kind } of imports) {
      if (kind === 'import-statement' && !core.includes(resolve(other))) core.push(resolve(other));
    }
  }
  const loaded = outputFiles.filter(({ path }) => core.includes(path));
  const bytes = gzipSync(Buffer.concat(loaded.map(({ contents }) => contents))).length;
  console.log(`core: ${bytes} bytes minified and gzipped, of ${MAX_BYTES}`);
  if (bytes > MAX_BYTES) throw new Error('the core is too large');

  const bin = (name) =>
    fileURLToPath(new URL(`../../../node_modules/.bin/${name}`, import.meta.url));
  console.log(run(bin('publint'), ['--strict', tarball]).trim());
  console.log(run(bin('attw'), [tarball, '--profile', 'esm-only', '--format', 'ascii']).trim());

  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  run(
    'npm',
    ['install', '--silent', '--no-audit', '--no-fund', '--legacy-peer-deps', tarball],
    folder,
  );
  writeFileSync(
    join(folder, 'agent.mjs'),
    `import { Bursar, explain } from '@bursar/sdk';
import { bursarX402 } from '@bursar/sdk/x402';
import { bursarTools } from '@bursar/sdk/tools';
const bursar = new Bursar({ url: 'http://127.0.0.1:9', token: 'x' });
console.log(typeof bursarX402(bursar).fetch, bursarTools(bursar).length, explain(new Error('x')).length > 0);
`,
  );
  const said = run(process.execPath, ['agent.mjs'], folder).trim();
  if (said !== 'function 5 true') throw new Error(`the packed package said "${said}"`);
  console.log('installed from an empty folder: works');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
