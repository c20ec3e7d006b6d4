import { closeAll } from './close-all.js';
import { failWith } from './ops/exit.js';
import { exitCodeOf, hearStopRequests } from './stop-request.js';

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
  const stop = hearStopRequests();
  let isTold = false;
  const tellOnce = (error: unknown): void => {
    if (!isTold) failWith(error, name);
    isTold = true;
  };
  // Output fails later than it is written, even when the work is done.
  stop.wait.catch(tellOnce);
  let isRunning = false;
  const job = work((close) => closers.push(close), stop.signal);
  try {
    const outcome = await Promise.race([job, stop.wait]);
    isRunning = outcome === 'running';
    if (isRunning) await stop.wait;
  } catch (error) {
    // The work under way fails when the process is told to stop.
    if (stop.received === undefined) tellOnce(error);
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
    return failWith(error, name);
  }
  const { received } = stop;
  if (received === undefined) return;
  // The reader who closed the pipe knows. A command has nothing to tell of.
  if (received !== 'SIGPIPE' && name !== 'bursar') {
    process.stderr.write(`${name}: stopped by ${received}; all is cleaned up\n`);
  }
  // A program that runs until it is stopped has done its job. Some things that were awaited may still wait.
  process.exit(isRunning ? process.exitCode : exitCodeOf(received));
}
