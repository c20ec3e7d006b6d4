import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

/**
 * The requests to a program to stop: Ctrl-C, a process manager, a terminal that was closed, and a pipe whose reader has
 * gone away (`| head`).
 */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export type StopSignal = (typeof SIGNALS)[number] | 'SIGPIPE';

/** The errors of a stream whose other end is gone: a pipe's, and a terminal's. */
const GONE: readonly (string | undefined)[] = ['EPIPE', 'EIO', 'ERR_STREAM_DESTROYED'];

/** How often a program that npm started looks whether npm is still there, in milliseconds. */
const PARENT_POLL_MS = 500;

/** Output that cannot be written, because a disk is full or the like. */
function unwritable({ code, message }: NodeJS.ErrnoException): Error {
  return new Error(`the output cannot be written (${code ?? message})`);
}

/** A request to stop, heard from the moment this is made until the process ends. */
export interface StopRequest {
  /** The first signal, once there is one. */
  readonly received: StopSignal | undefined;
  /** Resolves with the first signal. Rejects where the output cannot be written. */
  readonly wait: Promise<StopSignal>;
  /** Aborted at the first signal, and where the output cannot be written. */
  readonly signal: AbortSignal;
}

/**
 * Hears signals for the rest of the process's life. A signal often comes twice: npm passes on what the terminal has
 * sent to the whole process group. A second one without a handler would end the process in the middle of its
 * shutdown, so the handlers stay. Every program uses this, and none handles signals by itself.
 */
export function hearStopRequests(): StopRequest {
  const abort = new AbortController();
  let received: StopSignal | undefined;
  let hasFailed = false;
  let resolve: (signal: StopSignal) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const wait = new Promise<StopSignal>((settle, fail) => {
    resolve = settle;
    reject = fail;
  });
  const hear = (signal: StopSignal): void => {
    if (received !== undefined || hasFailed) return;
    received = signal;
    abort.abort(new Error(`stopped by ${signal}`));
    resolve(signal);
  };
  const fail = (error: Error): void => {
    if (received !== undefined || hasFailed) return;
    hasFailed = true;
    // The work that wrote it may know more, so let its error be told first.
    setImmediate(() => {
      reject(error);
      abort.abort(error);
    });
  };
  for (const signal of SIGNALS) process.on(signal, () => hear(signal));
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (GONE.includes(error.code)) hear('SIGPIPE');
      else fail(unwritable(error));
    });
  }
  watchNpm(() => hear('SIGTERM'));
  return {
    get received() {
      return received;
    },
    wait,
    signal: abort.signal,
  };
}

/** Rejects once the signal is aborted, so that what is awaited beside it is awaited no longer. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

/** By convention 128 and the signal's number. */
export function exitCodeOf(signal: StopSignal): number {
  return 128 + constants.signals[signal];
}

/**
 * npm runs a program below a shell and passes a signal on to the shell alone, which ends and leaves the program
 * behind; killed, it leaves both. So a program that npm started stops when its parent is gone, or the parent's own
 * where the parent is that shell.
 */
function watchNpm(onGone: () => void): void {
  if (process.env.npm_command === undefined) return;
  const parent = process.ppid;
  const shell = processOf(parent);
  const isShell = shell !== undefined && !/^(npm|npx|node)/.test(shell.name);
  const timer = setInterval(() => {
    const isGone =
      process.ppid !== parent || (isShell && processOf(parent)?.parent !== shell.parent);
    if (!isGone) return;
    clearInterval(timer);
    onGone();
  }, PARENT_POLL_MS).unref();
}

/** The name and the parent of a process; undefined where there is no /proc. */
function processOf(pid: number): { readonly name: string; readonly parent: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // pid (name) state ppid: the name may hold anything (proc(5)).
    const [, parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')), parent };
  } catch {
    return undefined;
  }
}
