// Writes the captures of docs/cli.md: runs each command that a comment of the page names, in a terminal against a fresh
// sandbox, and puts what it showed into the block below. npm run captures. Needs bash and util-linux's `script`.
//
//   <!-- run: export CHILD=$(npx bursar ...) -->       runs it, and keeps what it exports
//   <!-- capture: npx bursar fetch $SELLER/data/7 -->  fills the block below
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = new URL('../', import.meta.url).pathname;
const PAGE = join(ROOT, 'docs/cli.md');
const COLUMNS = 132;

const folder = mkdtempSync(join(tmpdir(), 'bursar-captures-'));
const state = join(folder, 'state');
const sandbox = spawn(process.execPath, ['dist/sandbox.js'], { cwd: ROOT });
// A process of its own, since the commands block this one.
const weather = spawn(process.execPath, ['--input-type=module', '-e', weatherServer()], {
  cwd: ROOT,
});
try {
  const [address] = await once(weather.stdout.setEncoding('utf8'), 'data');
  writeFileSync(state, `${await exportsOf(sandbox)}export WEATHER=${address}`);
  const page = readFileSync(PAGE, 'utf8');
  const written = page.replace(
    /<!-- (run|capture): (.+) -->(\n\n```text\n[\s\S]*?\n```)?/g,
    (_, kind, command) => {
      const shown = kind === 'run' ? run(command) : capture(command);
      const marker = `<!-- ${kind}: ${command} -->`;
      return kind === 'run' ? marker : `${marker}\n\n\`\`\`text\n$ ${command}\n${shown}\n\`\`\``;
    },
  );
  writeFileSync(PAGE, written);
} finally {
  weather.kill('SIGTERM');
  sandbox.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
}

/** The lines that the sandbox prints for pasting, once it is ready. */
async function exportsOf({ stdout }) {
  let text = '';
  for await (const chunk of stdout.setEncoding('utf8')) {
    text += chunk;
    if (!text.includes('Ctrl-C stops')) continue;
    stdout.resume();
    return `${text.match(/^export .+$/gm).join('\n')}\n`;
  }
  throw new Error(`the sandbox ended: ${text}`);
}

/** Serves the OpenAPI document of examples/gateway, for a catalog to read. */
function weatherServer() {
  return `
    import { readFileSync } from 'node:fs';
    import { createServer } from 'node:http';
    const document = readFileSync('examples/gateway/openapi.yaml');
    const server = createServer((_, response) => response.setHeader('content-type', 'application/yaml').end(document));
    server.listen(0, '127.0.0.1', () => console.log('http://127.0.0.1:' + server.address().port));`;
}

/** `npx bursar` without npx's own second. */
function script(command) {
  return `cd ${ROOT}; npx() { shift; ${process.execPath} bin/bursar.mjs "$@"; }; . ${state}; ${command}`;
}

function run(command) {
  execFileSync('bash', ['-c', `${script(command)}; export -p > ${state}`], environment());
}

function capture(command) {
  const file = join(folder, 'command');
  writeFileSync(file, `stty cols ${COLUMNS}; ${script(command)}`);
  // Refusals exit with more than 0, which is what some of them are here for.
  const shown = execFileSync('script', ['-qfc', `bash ${file}`, '/dev/null'], environment());
  return shown.toString().replaceAll('\r\n', '\n').trimEnd();
}

function environment() {
  const { PATH, HOME } = process.env;
  const env = {
    PATH,
    HOME,
    NO_COLOR: '1',
    TERM: 'xterm',
    SHELL: '/bin/bash',
    XDG_CONFIG_HOME: folder,
  };
  return { env, stdio: ['ignore', 'pipe', 'inherit'] };
}
