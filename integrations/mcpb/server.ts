import { mcpCommand } from '../../src/mcp/command.js';

// The server of the bundle: bursar mcp alone, in one file.
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
try {
  await mcpCommand({
    access: { url: needed('BURSAR_URL'), token: needed('BURSAR_TOKEN') },
    env: process.env,
    stdin: process.stdin,
    write: (chunk, done) => void write(chunk, done),
    stopped: stop.signal,
  });
} catch (error) {
  process.stderr.write(`bursar: ${(error as Error).message}\n`);
  process.exitCode = 1;
}

function needed(name: string): string {
  const value = process.env[name];
  if (value) return value;
  throw new Error(`${name} is not set; set it in the settings of the extension`);
}
