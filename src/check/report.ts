/** Something that breaks an invariant: what, and by how much. */
export interface Offender {
  /** The id of the row, or of whatever else is wrong. */
  readonly id: string;
  /** Broken rule. */
  readonly what: string;
  readonly detail: string;
}

/** Result of one invariant. */
export interface Finding {
  readonly id: string;
  readonly title: string;
  /** `unchecked`: nothing is known to break it, but not all of it could be looked at. */
  readonly status: 'holds' | 'broken' | 'unchecked';
  /** How many there were of what was looked at. */
  readonly checked: Readonly<Record<string, number>>;
  /** How many break it. */
  readonly violations: number;
  /** The first of them. */
  readonly offenders: readonly Offender[];
  /** Parts that could not be looked at, and why. */
  readonly unchecked: readonly string[];
  readonly ms: number;
}

/** A network as it was asked. */
export interface AskedNetwork {
  readonly network: string;
  /** The RPC's origin: what follows it is often a secret. */
  readonly rpc: string;
  /** The newest final block; null where there is none, or nobody answered. */
  readonly final: { readonly number: string; readonly time: string } | null;
}

/** Findings of the checker. */
export interface Report {
  readonly ok: boolean;
  readonly exitCode: 0 | 1 | 2;
  /** The database's time of the snapshot. */
  readonly at: string;
  readonly seconds: number;
  readonly networks: readonly AskedNetwork[];
  readonly invariants: readonly Finding[];
}

/** Collects what is found of one invariant. */
export class Tally {
  readonly #offenders: Offender[] = [];
  readonly #unchecked = new Set<string>();
  readonly #checked: Record<string, number> = {};
  #violations = 0;
  #ms = 0;

  /** @param show - how many offenders are kept; the others are counted. */
  constructor(
    readonly id: string,
    readonly title: string,
    private readonly show: number,
  ) {}

  /** Counts what is looked at. */
  count(what: string, many: number): void {
    this.#checked[what] = (this.#checked[what] ?? 0) + many;
  }

  /** Notes something wrong; `more` more of its kind are counted and not named. */
  broken(offender: Offender, more = 0): void {
    this.#violations += 1 + more;
    if (this.#offenders.length < this.show) this.#offenders.push(offender);
  }

  /** Notes that something could not be looked at. */
  skip(why: string): void {
    this.#unchecked.add(why);
  }

  /** Runs a part of the check, on the clock. */
  async timed<T>(work: () => Promise<T>): Promise<T> {
    const began = performance.now();
    try {
      return await work();
    } finally {
      this.#ms += performance.now() - began;
    }
  }

  /** Findings so far. */
  finding(): Finding {
    const isUnchecked = this.#unchecked.size > 0;
    return {
      id: this.id,
      title: this.title,
      status: this.#violations > 0 ? 'broken' : isUnchecked ? 'unchecked' : 'holds',
      checked: this.#checked,
      violations: this.#violations,
      offenders: this.#offenders,
      unchecked: [...this.#unchecked],
      ms: Math.round(this.#ms),
    };
  }
}

const MARK = { holds: '✓', broken: '✗', unchecked: '?' } as const;

/** The report for people: a line an invariant, under it what breaks it. */
export function formatReport({ at, seconds, networks, invariants, exitCode }: Report): string {
  const lines = [`Bursar's books at ${at}`];
  for (const { network, rpc, final } of networks) {
    lines.push(
      `  ${network} by ${rpc}: ${final ? `final up to block ${final.number}` : 'nothing final'}`,
    );
  }
  lines.push('');
  const width = Math.max(...invariants.map(({ title }) => title.length));
  for (const found of invariants) {
    const counts = Object.entries(found.checked)
      .map(([what, many]) => `${many.toLocaleString('en')} ${what}`)
      .join(', ');
    const time = `${(found.ms / 1000).toFixed(1)} s`;
    lines.push(
      `${MARK[found.status]} ${found.id}  ${found.title.padEnd(width)}  ${counts || 'nothing'} (${time})`,
    );
    for (const { id, what, detail } of found.offenders) {
      lines.push(`      ${id}: ${what}${detail === '' ? '' : ` (${detail})`}`);
    }
    const more = found.violations - found.offenders.length;
    if (more > 0) lines.push(`      and ${more.toLocaleString('en')} more`);
    for (const why of found.unchecked) lines.push(`      not checked: ${why}`);
  }
  const broken = invariants.filter(({ status }) => status === 'broken').map(({ id }) => id);
  const verdict = {
    0: 'All of it holds',
    1: `Broken: ${broken.join(', ')}`,
    2: 'Nothing is known to be broken, but not all could be checked',
  }[exitCode];
  lines.push('', `${verdict} (${seconds.toFixed(1)} s).`);
  return lines.join('\n');
}
