import type { Outcome } from './client.js';

/** Outcomes of the requests that began in a stretch of time. */
export interface Counts {
  requests: number;
  /** Answers that settle the matter: 2xx, and refusals for good (4xx but 429). */
  answered: number;
  /** Payment headers received, those of retries included. */
  headers: number;
  /** By code of the problem, such as `budget_exceeded` or `unavailable`. */
  readonly refusals: Record<string, number>;
  /** Nobody listened; the connection broke; no answer in time. */
  readonly failures: Record<string, number>;
  /** Answers that we did not wait for. */
  lost: number;
}

/** Nothing counted yet. */
export function noCounts(): Counts {
  return { requests: 0, answered: 0, headers: 0, refusals: {}, failures: {}, lost: 0 };
}

/** Adds what others counted. */
export function add(to: Counts, more: Counts): void {
  to.requests += more.requests;
  to.answered += more.answered;
  to.headers += more.headers;
  to.lost += more.lost;
  for (const kind of ['refusals', 'failures'] as const) {
    for (const [what, count] of Object.entries(more[kind])) {
      to[kind][what] = (to[kind][what] ?? 0) + count;
    }
  }
}

/** A stretch of time: requests that begin in it are counted, whenever they end. */
export interface Window {
  /** Takes no more requests, and waits for the answers to those it has. */
  close(): Promise<Counts>;
}

/** Counts every request of the agents, by the stretch of time it began in. */
export class Tally {
  readonly #open = new Set<Entry>();

  open(): Window {
    const entry: Entry = { counts: noCounts(), underWay: new Set() };
    this.#open.add(entry);
    return {
      close: async () => {
        this.#open.delete(entry);
        await Promise.all(entry.underWay);
        return entry.counts;
      },
    };
  }

  /** Counts one request, and hands on what became of it. */
  async count(asked: Promise<Outcome>): Promise<Outcome> {
    const entries = [...this.#open];
    const counted = asked.then((outcome) => {
      for (const { counts } of entries) note(counts, outcome);
      return outcome;
    });
    for (const { underWay } of entries) underWay.add(counted);
    const outcome = await counted;
    for (const { underWay } of entries) underWay.delete(counted);
    return outcome;
  }
}

interface Entry {
  readonly counts: Counts;
  readonly underWay: Set<Promise<Outcome>>;
}

function note(counts: Counts, outcome: Outcome): void {
  counts.requests += 1;
  if (outcome.kind === 'lost') {
    counts.lost += 1;
    return;
  }
  const bump = (kind: 'refusals' | 'failures', what: string) => {
    counts[kind][what] = (counts[kind][what] ?? 0) + 1;
  };
  if (outcome.kind !== 'answer') {
    const what = outcome.kind === 'dropped' && outcome.reused ? 'dropped (idle)' : outcome.kind;
    bump('failures', what);
    return;
  }
  const { status, body } = outcome;
  if (status < 500 && status !== 429) counts.answered += 1;
  if (body.header !== undefined) counts.headers += 1;
  if (status >= 400) bump('refusals', body.code ?? String(status));
}
