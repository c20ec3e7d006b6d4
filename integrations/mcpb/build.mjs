// Writes dist/bursar.mcpb, a bundle that MCP hosts install by a double click: npm run mcpb.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { zipSync } from 'fflate';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path) => readFileSync(`${root}${path}`);

const { version } = JSON.parse(read('package.json').toString());
const manifest = JSON.parse(read('integrations/mcpb/manifest.json').toString());
if (manifest.version !== version) {
  throw new Error(
    `integrations/mcpb/manifest.json: version is not ${version}, that of package.json`,
  );
}
const { outputFiles } = await build({
  entryPoints: [`${root}integrations/mcpb/server.ts`],
  bundle: true,
  minify: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // CommonJS packages inside ask for Node's modules by require.
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
  write: false,
});
mkdirSync(`${root}dist`, { recursive: true });
// One fixed time, so that the same sources make the same bytes.
const options = { level: 9, mtime: '2026-01-01T00:00:00' };
writeFileSync(
  `${root}dist/bursar.mcpb`,
  zipSync({
    'manifest.json': [read('integrations/mcpb/manifest.json'), options],
    'server/index.mjs': [outputFiles[0].contents, options],
    LICENSE: [read('LICENSE'), options],
  }),
);
process.stdout.write('dist/bursar.mcpb\n');
