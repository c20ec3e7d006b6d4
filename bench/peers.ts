import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The project's folder, seen from dist/bench/. */
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const INSTALLED = join(ROOT, 'node_modules/.cache/bursar-bench');

/**
 * Only this module of the package is used: its entry needs the packages of networks that are not compared.
 */
const GUARDRAILS = 'node_modules/@coinbase/cdp-sdk/_esm/x402/guardrails/apply.js';

/**
 * The spend controls of `@coinbase/cdp-sdk`, as published. Not a dependency of the project, which has no other
 * use for its 100 packages: installed beside it from bench/peers/package-lock.json when first needed.
 *
 * @returns the module's path, or why it cannot be had.
 */
export async function findGuardrails(
  progress: (what: string) => void,
): Promise<{ path: string } | { reason: string }> {
  const path = join(INSTALLED, GUARDRAILS);
  const wanted = join(ROOT, 'bench/peers');
  const [lock, installed] = await Promise.all(
    [wanted, INSTALLED].map((folder) =>
      readFile(join(folder, 'package-lock.json'), 'utf8').catch(() => undefined),
    ),
  );
  if (lock === installed) return { path };
  progress('installing @coinbase/cdp-sdk to compare with');
  try {
    await rm(INSTALLED, { recursive: true, force: true });
    await mkdir(INSTALLED, { recursive: true });
    await cp(join(wanted, 'package.json'), join(INSTALLED, 'package.json'));
    await cp(join(wanted, 'package-lock.json'), join(INSTALLED, 'package-lock.json'));
    await run('npm', ['ci', '--ignore-scripts', '--legacy-peer-deps', '--no-audit', '--no-fund'], {
      cwd: INSTALLED,
      timeout: 300_000,
    });
    return { path };
  } catch (error) {
    await rm(INSTALLED, { recursive: true, force: true });
    const said = error instanceof Error ? error.message.split('\n')[0] : error;
    return { reason: `@coinbase/cdp-sdk could not be installed: ${said}` };
  }
}
