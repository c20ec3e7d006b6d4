import { closeAll } from '../src/close-all.js';

/** How long stopping may take, in milliseconds. Then the process ends whatever hangs. */
const STOP_TIMEOUT_MS = 20_000;

/**
 * Runs a program that must clean up after itself: at its end, when it fails, and when it is signalled
 * at any moment, also while it is still starting.
 *
 * @param name - the program, for its error line.
 * @param work - does the job; registers what to undo with `onStop` as soon as there is something to
 *   undo. `running` keeps the process until it is signalled. `signal` is aborted when it should
 *   give up what it is doing.
 */
export async function runUntilSignalled(
  name: string,
  work: (
    onStop: (close: () => Promise<void>) => void,
    signal: AbortSignal,
  ) => Promise<'done' | 'running'>,
): Promise<void> {
  const closers: (() => Promise<void>)[] = [];
  const abort = new AbortController();
  let signalled: NodeJS.Signals | undefined;
  const signal = new Promise<NodeJS.Signals>((resolve) => {
    for (const each of ['SIGINT', 'SIGTERM'] as const) {
      process.on(each, () => {
        signalled ??= each;
        abort.abort(new Error(`stopped by ${each}`));
        resolve(each);
      });
    }
  });
  const fail = (error: unknown) => {
    process.stderr.write(`${name}: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  };
  const job = work((close) => closers.push(close), abort.signal);
  try {
    const outcome = await Promise.race([job, signal]);
    if (outcome === 'running') await signal;
  } catch (error) {
    fail(error);
  }
  setTimeout(() => {
    process.stderr.write(`${name}: stopping took too long\n`);
    process.exit(1);
  }, STOP_TIMEOUT_MS).unref();
  // Signalled while it was still starting: what is half up takes itself down first.
  await job.catch(() => {});
  try {
    await closeAll(closers);
  } catch (error) {
    return fail(error);
  }
  if (signalled) process.stderr.write(`${name}: stopped by ${signalled}; all is cleaned up\n`);
  // By convention 128 + the signal's number; a sandbox that is told to stop has done its job.
  if (signalled && name !== 'sandbox') process.exitCode = signalled === 'SIGINT' ? 130 : 143;
}
