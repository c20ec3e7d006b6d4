// Builds the console into dist/, unless nothing changed since the last build: the programs of this repository build first,
// and most builds have nothing to do with the console. npm run build --workspace console
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';

const root = fileURLToPath(new URL('.', import.meta.url));
const stampFile = join(root, 'dist/stamp');
const stamp = stampOf(['src', 'index.html', 'vite.config.ts', 'package.json', 'build.mjs']);

if (read(stampFile) !== stamp) {
  // Loaded only now: that alone takes a good part of a second. Whoever builds, a test too, gets what people get.
  process.env.NODE_ENV = 'production';
  const { build } = await import('vite');
  await build({ configFile: join(root, 'vite.config.ts'), logLevel: 'warn' });
  for (const name of filesIn(join(root, 'dist/assets'))) {
    if (!/\.(js|css|svg)$/.test(name)) continue;
    const content = readFileSync(name);
    writeFileSync(`${name}.gz`, gzipSync(content, { level: 9 }));
    writeFileSync(`${name}.br`, brotliCompressSync(content));
  }
  writeFileSync(stampFile, stamp);
}

/** One hash of everything that the build reads. */
function stampOf(names) {
  const hash = createHash('sha256');
  const lock = fileURLToPath(new URL('../package-lock.json', import.meta.url));
  const sdk = fileURLToPath(new URL('../clients/typescript/src', import.meta.url));
  for (const path of [...names.map((name) => join(root, name)), sdk, lock].flatMap(filesIn)) {
    hash
      .update(`${path}\0`)
      .update(read(path) ?? '')
      .update('\0');
  }
  return hash.digest('hex');
}

/** The files below a path, or the path itself where it is a file. */
function filesIn(path) {
  try {
    return readdirSync(path, { withFileTypes: true })
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap(({ name }) => filesIn(join(path, name)));
  } catch {
    return [path];
  }
}

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
