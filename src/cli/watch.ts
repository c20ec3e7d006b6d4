import { at, coloured, isTable, printLine, tell } from './output.js';
import { defined, parseWhole } from './parse.js';
import type { BursarEvent, EventOptions } from './sdk.js';
import { openBursar } from './session.js';

/** Options of `bursar watch`. */
export interface WatchOptions {
  readonly kind?: string;
  readonly grant?: string;
  readonly treasury?: string;
  readonly after?: string;
  readonly count?: string;
  readonly json?: boolean;
}

/** `bursar watch`: a line for each event, as it happens, until it is stopped or has printed enough. */
export async function watchCommand(options: WatchOptions, stopped: AbortSignal): Promise<void> {
  const { kind, grant, treasury, after, json } = options;
  const most =
    options.count === undefined ? undefined : parseWhole('--count', options.count, undefined, 1);
  const isText = isTable(json);
  const followed: EventOptions = defined({
    types: kind?.split(',') as EventOptions['types'],
    grantId: grant,
    treasuryId: treasury,
    after,
    signal: stopped,
    onRetry: (error: unknown, waitMs: number) =>
      tell(`${(error as Error).message}; trying again in ${Math.ceil(waitMs / 1_000)} s`),
  });
  if (isText) tell('watching; Ctrl-C ends it');
  let printed = 0;
  for await (const event of openBursar().events(followed)) {
    if (isText) printLine(lineOf(event));
    else process.stdout.write(`${JSON.stringify(event)}\n`);
    printed += 1;
    if (printed === most) return;
  }
}

/** Time, kind, what it is about, who did it, and why. */
function lineOf({ at: time, kind, actor, grantId, paymentId, reason, data }: BursarEvent): string {
  const [, verb = ''] = kind.split('.');
  const { code } = data as { code?: unknown };
  const words = [
    at(time),
    kind.replace(verb, coloured(verb)),
    paymentId ?? grantId ?? '',
    `by ${actor}`,
    typeof code === 'string' ? code : '',
    reason === null ? '' : `"${reason}"`,
  ];
  return words.filter(Boolean).join('  ');
}
