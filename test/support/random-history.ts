import { ASSET, id, PAYEE, SyntheticLog, WALLET } from './synthetic-log.js';

type Data = Record<string, unknown>;

interface Grant {
  readonly id: string;
  readonly path: readonly Grant[];
  budget: bigint;
  readonly maxPerPayment: bigint | undefined;
  approvalAbove: bigint | undefined;
  readonly delegationDepth: number;
  readonly startsAt: number;
  readonly expiresAt: number;
  readonly isCarveOut: boolean;
  suspendedBy: string | undefined;
  isRevoked: boolean;
  generation: number;
}

interface Payment {
  readonly number: number;
  readonly grant: Grant;
  readonly value: bigint;
  readonly from: string;
  readonly validBefore: number;
  isCancelRequested: boolean;
}

interface Waiting {
  readonly number: number;
  readonly grant: Grant;
  readonly value: bigint;
  readonly asking: Grant;
  lapsesAt: number;
  isApproved: boolean;
}

/** A raise that waits for a decision. */
interface Raise {
  readonly number: number;
  readonly grant: Grant;
  readonly budget: bigint;
}

/** A term with its value before and after an amendment. */
type Change = readonly [name: string, from: bigint | string, to: bigint | string];

const HOUR = 3_600_000;
const OTHER = '0x2222222222222222222222222222222222222222';

/** Numbers that look random and are the same in every run (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/**
 * A history that the service could have written, act by act, and what nobody could have done next. It has a small
 * model of its own: it shares nothing with the verifier that reads it.
 */
export class RandomHistory {
  readonly lines: string[] = [];
  readonly #log = new SyntheticLog();
  readonly #random: (below: number) => number;
  readonly #grants: Grant[] = [];
  readonly #open: Payment[] = [];
  readonly #ended: Payment[] = [];
  readonly #waiting: Waiting[] = [];
  readonly #raises: Raise[] = [];
  readonly #wallets = new Map<string, 'active' | 'draining' | 'retired'>();
  #raiseCount = 0;
  #grantCount = 0;
  #paymentCount = 0;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
    this.lines.push(this.#log.line('treasury.created', { data: { name: 'main' } }));
    this.addWallet(WALLET);
    this.mint();
  }

  /** Does something that the rules allow. */
  act(): void {
    const acts = [
      () => this.mint(),
      () => this.delegate(),
      () => this.delegate(),
      () => this.delegate(),
      () => this.suspend(),
      () => this.resume(),
      () => this.revoke(),
      () => this.pay(),
      () => this.pay(),
      () => this.pay(),
      () => this.ask(),
      () => this.ask(),
      () => this.approve(),
      () => this.approve(),
      () => this.collect(),
      () => this.end(),
      () => this.end(),
      () => this.reissue(),
      () => this.amend(),
      () => this.amend(),
      () => this.askRaise(),
      () => this.decideRaise(),
      () => this.requestCancel(),
      () => this.turnWallets(),
      () => this.#log.pass(this.#random(5_000)),
    ];
    acts[this.#random(acts.length)]?.();
  }

  /** The acts that are impossible now, by name: each a record that must be refused. */
  impossible(): ReadonlyMap<string, () => string> {
    const acts = new Map<string, () => string>();
    const add = <T>(what: string, target: T | undefined, tell: (target: T) => string) => {
      if (target !== undefined) acts.set(what, () => tell(target));
    };
    const log = this.#log;
    const alive = this.#grants.filter((each) => this.isAlive(each));
    const [payer] = alive;
    const delegating = alive.find(({ delegationDepth }) => delegationDepth > 0);

    // Approvals.
    const pending = this.#waiting.find(
      ({ isApproved, grant }) => !isApproved && this.isAlive(grant),
    );
    const ready = this.#waiting.find(({ isApproved, grant }) => isApproved && this.isAlive(grant));
    add('an approval by whoever asked', pending, (each) =>
      this.verdict(each, 'approved', `grant:${each.grant.id}`),
    );
    add('an approval by the grant that asks for it', pending, (each) =>
      this.verdict(each, 'approved', `grant:${each.asking.id}`),
    );
    add('an approval by the service', pending, (each) =>
      this.verdict(each, 'approved', 'system:payments'),
    );
    add('an approval after it lapsed', pending, (each) =>
      this.verdict(each, 'approved', 'admin:test', each.lapsesAt + 5_000),
    );
    add('a rejection by whoever asked', pending, (each) =>
      this.verdict(each, 'rejected', `grant:${each.grant.id}`),
    );
    add('a lapse before its time', pending, (each) =>
      this.verdict(each, 'rejected', 'system:payments'),
    );
    add('a payment that waits and was not approved', pending, (each) => this.collected(each));
    add('another payee than approved', ready, (each) => this.collected(each, { to: OTHER }));
    add('another amount than approved', ready, (each) =>
      this.collected(each, { value: (each.value + 1n).toString() }),
    );
    add('another network than approved', ready, (each) =>
      this.collected(each, { network: 'eip155:8453' }),
    );
    add('another token than approved', ready, (each) => this.collected(each, { asset: OTHER }));
    add('another request than approved', ready, (each) =>
      this.collected(each, { request: { method: 'GET', url: 'https://other.example.com/' } }),
    );
    add('a payment that was collected too late', ready, (each) =>
      this.collected(each, {}, each.lapsesAt + 5_000),
    );
    const asks = alive.find(({ approvalAbove }) => approvalAbove !== undefined);
    add('a payment without the approval its grant asks for', asks, (grant) =>
      this.signed(grant, (grant.approvalAbove ?? 0n) + 1n),
    );
    add('a wait for a grant that does not ask', asks, (grant) =>
      this.asked(grant, (grant.approvalAbove ?? 0n) + 1n, { askedBy: id('grt', 999) }),
    );

    // Mintings.
    add('a root minted by a grant', payer, (grant) =>
      log.grant(this.freshGrant(), undefined, {}, `grant:${grant.id}`),
    );
    add('a root minted by the service', payer, () =>
      log.grant(this.freshGrant(), undefined, {}, 'system:grants'),
    );
    const leaf = alive.find(({ delegationDepth }) => delegationDepth === 0);
    add('a child of a grant that may not delegate', leaf, (grant) => this.child(grant));
    const stranger = this.#grants.find((each) => !delegating?.path.includes(each));
    add('a child delegated by a stranger', delegating && stranger, (each) =>
      this.child(delegating as Grant, {}, `grant:${each.id}`),
    );
    const ended = this.#grants.find((each) => each.isRevoked && each.delegationDepth > 0);
    add('a child of a revoked grant', ended, (grant) => this.child(grant));
    const wider: Readonly<Record<string, (grant: Grant) => Data | undefined>> = {
      budget: ({ budget }) => ({ budget: (budget + 1n).toString() }),
      maxPerPayment: ({ maxPerPayment }) =>
        maxPerPayment === undefined ? undefined : { maxPerPayment: null },
      approvalAbove: ({ approvalAbove }) =>
        approvalAbove === undefined
          ? undefined
          : { approvalAbove: (approvalAbove + 1n).toString() },
      startsAt: ({ startsAt }) => ({ startsAt: new Date(startsAt - 1).toISOString() }),
      expiresAt: ({ expiresAt }) => ({ expiresAt: new Date(expiresAt + 1).toISOString() }),
      delegationDepth: ({ delegationDepth }) => ({ delegationDepth }),
      windows: () => ({ windows: [] }),
      maxPayments: () => ({ maxPayments: null }),
      scope: () => ({ scope: {} }),
      currency: () => ({ currency: 'EURC' }),
    };
    for (const [term, terms] of Object.entries(wider)) {
      const changed = delegating && terms(delegating);
      add(`a child wider than its parent: ${term}`, changed, (data) =>
        this.child(delegating as Grant, data),
      );
    }

    // Pauses, ends and tokens.
    const byAdmin = this.#grants.find(
      (each) => each.suspendedBy?.startsWith('admin:') && !this.isEnded(each),
    );
    add('a grant resumed by itself after an admin suspended it', byAdmin, (grant) =>
      this.life('resumed', grant, `grant:${grant.id}`),
    );
    const running = this.#grants.find(
      (each) => each.suspendedBy === undefined && !this.isEnded(each),
    );
    add('a resumption of what runs', running, (grant) => this.life('resumed', grant, 'admin:test'));
    const below = this.#grants.find((each) => each.path.length > 1 && !this.isEnded(each));
    for (const what of ['suspended', 'revoked', 'token_reissued']) {
      add(`a parent ${what} by its child`, below, (grant) =>
        this.life(what, grant.path.at(-2) as Grant, `grant:${grant.id}`),
      );
    }
    const over = this.#grants.find((each) => each.isRevoked);
    add('a second revocation', over, (grant) => this.life('revoked', grant, 'admin:test'));
    add('a suspension after the revocation', over, (grant) =>
      this.life('suspended', grant, 'admin:test'),
    );
    add('a generation of tokens that was there before', running, (grant) =>
      log.line('grant.token_reissued', {
        grantId: grant.id,
        data: { generation: grant.generation },
      }),
    );
    const carved = alive.find(
      (grant) => grant.isCarveOut && this.#open.every(({ grant: by }) => !by.path.includes(grant)),
    );
    add('a carve-out that returns while it lives', carved, (grant) =>
      log.line('grant.returned', {
        grantId: grant.id,
        data: { amount: grant.budget.toString(), to: grant.path.slice(0, -1).map(({ id }) => id) },
      }),
    );

    // Amendments.
    const living = this.#grants.find((each) => !this.isEnded(each));
    const child = this.#grants.find((each) => each.path.length > 1 && !this.isEnded(each));
    const lower = ({ budget }: Grant): Change => ['budget', budget, budget - 1n];
    add('an amendment by the own holder', living, (grant) =>
      this.amendment(grant, lower(grant), `grant:${grant.id}`),
    );
    add('an amendment by the service', living, (grant) =>
      this.amendment(grant, lower(grant), 'system:grants'),
    );
    add('an amendment of a parent by its child', child, (grant) =>
      this.amendment(
        grant.path.at(-2) as Grant,
        lower(grant.path.at(-2) as Grant),
        `grant:${grant.id}`,
      ),
    );
    add('an amendment of a revoked grant', over, (grant) => this.amendment(grant, lower(grant)));
    add('an amendment from a term it did not have', living, (grant) =>
      this.amendment(grant, ['budget', grant.budget + 1n, grant.budget]),
    );
    add('an amendment that changes nothing', living, (grant) =>
      this.amendment(grant, ['budget', grant.budget, grant.budget]),
    );
    add('a raise beyond the parent', child, (grant) =>
      this.amendment(grant, [
        'budget',
        grant.budget,
        (grant.path.at(-2) as Grant).budget + grant.budget,
      ]),
    );
    add('a raise that its record does not tell of', living, (grant) =>
      this.amendment(grant, ['budget', grant.budget, grant.budget + 1n], 'admin:test', []),
    );
    const used = this.#open.find(({ grant }) => !this.isEnded(grant));
    add('a budget lowered below what is used', used, ({ grant }) =>
      this.amendment(grant, ['budget', grant.budget, 0n]),
    );
    add('an amendment to an end that is over', living, (grant) =>
      this.amendment(grant, [
        'expiresAt',
        new Date(grant.expiresAt).toISOString(),
        new Date(this.#log.now - HOUR).toISOString(),
      ]),
    );

    // Raise requests.
    const raise = this.#raises.find(({ grant }) => !this.isEnded(grant));
    add('a raise approved by whoever asked', raise, (each) =>
      this.raiseLine('rejected', each, `grant:${each.grant.id}`),
    );
    add('a raise approved without an amendment', raise, (each) =>
      this.raiseLine('approved', each, 'admin:test'),
    );
    add('a raise that lapses before its time', raise, (each) =>
      this.raiseLine('rejected', each, 'system:grants'),
    );
    add('a second raise while one is open', raise, ({ grant }) =>
      this.raiseAsked({ number: 999, grant, budget: grant.budget + 1n }),
    );
    const quiet = this.#grants.find(
      (each) => !this.isEnded(each) && this.#raises.every(({ grant }) => grant !== each),
    );
    add('a raise of nothing', quiet, (grant) =>
      this.raiseAsked({ number: 999, grant, budget: grant.budget }),
    );
    add('a raise that somebody else asks for', quiet, (grant) =>
      this.raiseAsked({ number: 999, grant, budget: grant.budget + 1n }, 'admin:test'),
    );
    add('a decision about a raise that nobody asked for', quiet, (grant) =>
      this.raiseLine('rejected', { number: 999, grant, budget: 0n }, 'admin:test'),
    );

    // Payments.
    const small = alive.find(({ approvalAbove }) => approvalAbove === undefined) ?? payer;
    for (const status of ['retired', 'draining'] as const) {
      const wallet = [...this.#wallets].find(([, is]) => is === status)?.[0];
      add(`a payment from a ${status} wallet`, small && wallet, (from) =>
        this.signed(small as Grant, 1n, { from }, this.#log.now + 120_000),
      );
    }
    add('a payment from a wallet that nobody added', small, (grant) =>
      this.signed(grant, 1n, { from: OTHER }),
    );
    add('a signature of 48 minutes', small, (grant) =>
      this.signed(grant, 1n, { validBefore: String(Math.floor(log.now / 1000) + 48 * 60) }),
    );
    add('a signature that is over when it is made', small, (grant) =>
      this.signed(grant, 1n, { validBefore: String(Math.floor(log.now / 1000)) }),
    );
    add('a signature that is not valid yet', small, (grant) =>
      this.signed(grant, 1n, { validAfter: String(Math.floor(log.now / 1000) + 10) }),
    );
    add('a decision of another time than its record', small, (grant) =>
      this.signed(grant, 1n, { decidedAt: new Date(log.now - 500).toISOString() }, log.now),
    );
    add('a payment in the name of another grant', small && stranger, (each) =>
      this.signed(
        small as Grant,
        1n,
        {},
        undefined,
        `grant:${each === small ? id('grt', 999) : each.id}`,
      ),
    );
    add('a payment by an admin', small, (grant) =>
      this.signed(grant, 1n, {}, undefined, 'admin:test'),
    );
    add('a payment beyond a budget', small, (grant) => this.signed(grant, grant.budget + 1n));
    const stopped = this.#grants.find((each) => !this.isAlive(each));
    add('a payment by a grant that was stopped', stopped, (grant) => this.signed(grant, 1n));
    const open = this.#open[0];
    const late = this.#open.find(({ validBefore }) => validBefore * 1000 > log.now);
    add('a release before its time', late, ({ number, grant, value }) =>
      log.line('payment.released', {
        grantId: grant.id,
        paymentId: id('pay', number),
        data: { value: value.toString(), transaction: null },
      }),
    );
    add('a settlement by a holder', open, ({ number, grant, value }) =>
      log.line('payment.settled', {
        grantId: grant.id,
        paymentId: id('pay', number),
        actor: `grant:${grant.id}`,
        data: { value: value.toString(), transaction: '0x01' },
      }),
    );
    add('an end of another network', open, ({ number, grant, value }) =>
      log.ended(number, grant.id, 'settled', value.toString(), { network: 'eip155:1' }),
    );
    const done = this.#ended[0];
    add('a second end', done, ({ number, grant, value }) =>
      log.ended(number, grant.id, 'settled', value.toString()),
    );
    add('a cancellation of what has ended', done, ({ number, grant }) =>
      log.line('payment.cancel_requested', { grantId: grant.id, paymentId: id('pay', number) }),
    );
    const outsider = open && this.#grants.find((each) => !open.grant.path.includes(each));
    add('a cancellation by a stranger', outsider, (each) =>
      log.line('payment.cancel_requested', {
        grantId: open?.grant.id as string,
        paymentId: id('pay', open?.number as number),
        actor: `grant:${each.id}`,
      }),
    );

    // Wallets and times.
    const draining = [...this.#wallets].find(
      ([address, is]) => is === 'draining' && this.#open.some(({ from }) => from === address),
    )?.[0];
    add('a wallet retired with an open payment', draining, (address) =>
      this.walletLine('retired', address),
    );
    const active = [...this.#wallets].find(([, is]) => is === 'active')?.[0];
    add('a wallet retired without draining', active, (address) =>
      this.walletLine('retired', address),
    );
    const retired = [...this.#wallets].find(([, is]) => is === 'retired')?.[0];
    add('a retired wallet set active', retired, (address) => this.walletLine('active', address));
    add('a wallet drained by a holder', active, (address) =>
      this.walletLine('draining', address, `grant:${this.#grants[0]?.id}`),
    );
    add('a time that runs backwards', payer, (grant) =>
      log.line('payment.refused', { grantId: grant.id, at: log.now - HOUR }),
    );
    return acts;
  }

  private pick<T>(some: readonly T[]): T | undefined {
    return some[this.#random(some.length)];
  }

  private isEnded({ path }: Grant): boolean {
    return path.some(({ isRevoked }) => isRevoked);
  }

  private isAlive(grant: Grant): boolean {
    return !this.isEnded(grant) && grant.path.every(({ suspendedBy }) => suspendedBy === undefined);
  }

  private freshGrant(): string {
    this.#grantCount += 1;
    return id('grt', this.#grantCount);
  }

  private mint(): void {
    const grantId = this.freshGrant();
    const limits = this.#random(2) === 0;
    const terms = {
      budget: '1000000000',
      delegationDepth: this.#random(3) + 1,
      maxPerPayment: limits ? '900000' : null,
      approvalAbove: limits ? '5000' : null,
      maxPayments: 1000,
      windows: [{ seconds: 3600, amount: '900000000', payments: 900 }],
      scope: { networks: ['eip155:84532', 'eip155:8453'], payTo: [PAYEE, OTHER] },
    };
    this.lines.push(this.#log.grant(grantId, undefined, terms));
    this.keep(grantId, undefined, terms, false);
  }

  private keep(grantId: string, parent: Grant | undefined, terms: Data, isCarveOut: boolean): void {
    const grant: Omit<Grant, 'path'> & { path: Grant[] } = {
      id: grantId,
      path: [],
      budget: BigInt((terms.budget as string | undefined) ?? parent?.budget ?? 0),
      maxPerPayment: terms.maxPerPayment
        ? BigInt(terms.maxPerPayment as string)
        : parent?.maxPerPayment,
      approvalAbove: terms.approvalAbove
        ? BigInt(terms.approvalAbove as string)
        : parent?.approvalAbove,
      delegationDepth: Number(
        terms.delegationDepth ?? Math.max(0, (parent?.delegationDepth ?? 0) - 1),
      ),
      startsAt: parent?.startsAt ?? Date.parse('2026-11-21T10:00:00.000Z'),
      expiresAt: parent?.expiresAt ?? Date.parse('2026-11-21T10:00:00.000Z') + 10 ** 11,
      isCarveOut,
      suspendedBy: undefined,
      isRevoked: false,
      generation: 1,
    };
    grant.path.push(...(parent?.path ?? []), grant);
    this.#grants.push(grant);
  }

  private delegate(): void {
    const parent = this.pick(
      this.#grants.filter((each) => each.delegationDepth > 0 && this.isAlive(each)),
    );
    if (!parent) return;
    const grantId = this.freshGrant();
    const isCarveOut = this.#random(4) === 0 && parent.path.length === 1;
    const terms = {
      budget: isCarveOut ? '1000000' : (parent.budget / 2n).toString(),
      ...(this.#random(3) === 0 ? { approvalAbove: '1000' } : {}),
      ...(isCarveOut ? { funding: 'reserved' } : {}),
    };
    const actor = this.#random(4) === 0 ? 'admin:test' : `grant:${parent.id}`;
    this.lines.push(this.#log.grant(grantId, parent.id, terms, actor));
    this.keep(grantId, parent, terms, isCarveOut);
  }

  private child(parent: Grant, terms: Data = {}, actor?: string): string {
    return this.#log.grant(this.freshGrant(), parent.id, terms, actor);
  }

  private life(what: string, grant: Grant, actor: string): string {
    const data = what === 'token_reissued' ? { generation: grant.generation + 1 } : {};
    return this.#log.line(`grant.${what}`, { grantId: grant.id, actor, data });
  }

  private suspend(): void {
    const grant = this.pick(
      this.#grants.filter((each) => each.suspendedBy === undefined && !this.isEnded(each)),
    );
    if (!grant) return;
    const by = this.pick(['admin:test', ...grant.path.map(({ id }) => `grant:${id}`)]) as string;
    this.lines.push(this.life('suspended', grant, by));
    grant.suspendedBy = by;
  }

  private resume(): void {
    const grant = this.pick(
      this.#grants.filter((each) => each.suspendedBy !== undefined && !this.isEnded(each)),
    );
    if (!grant) return;
    const place = grant.path.findIndex(({ id }) => grant.suspendedBy === `grant:${id}`);
    const by = this.pick([
      'admin:test',
      grant.suspendedBy as string,
      ...grant.path.slice(0, Math.max(0, place)).map(({ id }) => `grant:${id}`),
    ]) as string;
    this.lines.push(this.life('resumed', grant, by));
    grant.suspendedBy = undefined;
  }

  private revoke(): void {
    if (this.#random(3) > 0) return;
    const grant = this.pick(this.#grants.filter((each) => !each.isRevoked));
    if (!grant) return;
    const by = this.pick(['admin:test', ...grant.path.map(({ id }) => `grant:${id}`)]) as string;
    this.lines.push(this.life('revoked', grant, by));
    grant.isRevoked = true;
  }

  private reissue(): void {
    const grant = this.pick(this.#grants);
    if (!grant) return;
    this.lines.push(this.life('token_reissued', grant, 'admin:test'));
    grant.generation += 1;
  }

  /** Raises or lowers a term a little: no payment of this history asks for another approval by it. */
  private amend(): void {
    const grant = this.pick(this.#grants.filter((each) => !this.isEnded(each)));
    if (!grant) return;
    const parent = grant.path.at(-2);
    const above = grant.path.slice(0, -1).map(({ id }) => `grant:${id}`);
    const by = this.pick(['admin:test', ...above]) as string;
    if (this.#random(2) === 0 || grant.approvalAbove === undefined) {
      const isRaise = this.#random(2) === 0 && parent && !grant.isCarveOut;
      const budget = isRaise ? grant.budget + 1n : grant.budget - 1n;
      if (isRaise && budget > parent.budget) return;
      this.lines.push(this.amendment(grant, ['budget', grant.budget, budget], by));
      grant.budget = budget;
      this.#log.amended(grant.id, { budget: budget.toString() });
      return;
    }
    const approvalAbove = 1_000n + BigInt(this.#random(4_000));
    const most = parent?.approvalAbove ?? approvalAbove;
    if (approvalAbove === grant.approvalAbove || approvalAbove > most) return;
    const change: Change = ['approvalAbove', grant.approvalAbove, approvalAbove];
    this.lines.push(this.amendment(grant, change, by));
    grant.approvalAbove = approvalAbove;
    this.#log.amended(grant.id, { approvalAbove: approvalAbove.toString() });
  }

  private raiseAsked({ number, grant, budget }: Raise, actor = `grant:${grant.id}`): string {
    const data = {
      grantRequestId: id('grq', number),
      budget: budget.toString(),
      expiresAt: null,
      lapsesAt: new Date(this.#log.now + 10 ** 10).toISOString(),
    };
    return this.#log.line('grant_request.created', { grantId: grant.id, actor, data });
  }

  private raiseLine(what: string, { number, grant }: Raise, actor: string): string {
    const data = { grantRequestId: id('grq', number) };
    return this.#log.line(`grant_request.${what}`, { grantId: grant.id, actor, data });
  }

  private askRaise(): void {
    const grant = this.pick(this.#grants.filter((each) => this.isAlive(each) && !each.isCarveOut));
    if (!grant || this.#raises.some((each) => each.grant === grant)) return;
    const raise = { number: ++this.#raiseCount, grant, budget: grant.budget + 1_000n };
    this.lines.push(this.raiseAsked(raise));
    this.#raises.push(raise);
  }

  private decideRaise(): void {
    const raise = this.pick(this.#raises.filter(({ grant }) => !this.isEnded(grant)));
    if (!raise) return;
    const { grant, budget } = raise;
    const above = grant.path.slice(0, -1).map(({ id }) => `grant:${id}`);
    const by = this.pick(['admin:test', ...above]) as string;
    const most = grant.path.at(-2)?.budget ?? budget;
    const isApproved = this.#random(2) === 0 && budget > grant.budget && budget <= most;
    if (isApproved) {
      this.lines.push(this.amendment(grant, ['budget', grant.budget, budget], by));
      grant.budget = budget;
      this.#log.amended(grant.id, { budget: budget.toString() });
    }
    this.lines.push(this.raiseLine(isApproved ? 'approved' : 'rejected', raise, by));
    this.#raises.splice(this.#raises.indexOf(raise), 1);
  }

  private amendment(
    grant: Grant,
    [name, from, to]: Change,
    actor = 'admin:test',
    raised = to > from ? [name] : [],
  ): string {
    const data = {
      from: { [name]: String(from) },
      to: { [name]: String(to) },
      raised,
      twoPerson: false,
    };
    return this.#log.line('grant.amended', { grantId: grant.id, actor, data });
  }

  private asking(grant: Grant, value: bigint): Grant | undefined {
    return grant.path.find(
      ({ approvalAbove }) => approvalAbove !== undefined && value > approvalAbove,
    );
  }

  private payer(): string | undefined {
    return this.pick([...this.#wallets].filter(([, is]) => is === 'active').map(([from]) => from));
  }

  private signed(
    grant: Grant,
    value: bigint,
    decision: Data = {},
    at?: number,
    actor?: string,
    number = ++this.#paymentCount,
  ): string {
    const from = this.payer() ?? WALLET;
    return this.#log.authorized(
      number,
      grant.path.map(({ id }) => id),
      value.toString(),
      {
        decision: { from, ...decision },
        ...(at === undefined ? {} : { at }),
        ...(actor === undefined ? {} : { actor }),
      },
    );
  }

  private hold(number: number, grant: Grant, value: bigint, line: string): void {
    this.lines.push(line);
    const { from, validBefore } = JSON.parse(line).data.decision;
    this.#open.push({
      number,
      grant,
      value,
      from,
      validBefore: Number(validBefore),
      isCancelRequested: false,
    });
  }

  private pay(): void {
    const grant = this.pick(this.#grants.filter((each) => this.isAlive(each)));
    const value = BigInt(this.#random(900) + 1);
    if (!grant || this.payer() === undefined || this.asking(grant, value)) return;
    const line = this.signed(grant, value);
    this.hold(this.#paymentCount, grant, value, line);
  }

  private asked(grant: Grant, value: bigint, data: Data = {}): string {
    const number = ++this.#paymentCount;
    const asking = this.asking(grant, value) as Grant;
    return this.#log.line('payment.pending', {
      grantId: grant.id,
      paymentId: id('pay', number),
      data: {
        askedBy: asking.id,
        approvalAbove: asking.approvalAbove?.toString(),
        request: { method: 'GET', url: `https://api.example.com/data/${number}` },
        option: { network: 'eip155:84532', asset: ASSET, payTo: PAYEE, value: value.toString() },
        lapsesAt: new Date(this.#log.now + HOUR).toISOString(),
        ...data,
      },
    });
  }

  private ask(): void {
    const value = 6_000n;
    const grant = this.pick(
      this.#grants.filter((each) => this.isAlive(each) && this.asking(each, value)),
    );
    if (!grant) return;
    const lapsesAt = this.#log.now + HOUR;
    this.lines.push(this.asked(grant, value));
    const asking = this.asking(grant, value) as Grant;
    const number = this.#paymentCount;
    this.#waiting.push({ number, grant, value, asking, lapsesAt, isApproved: false });
  }

  private verdict(
    { number, grant, value }: Waiting,
    what: 'approved' | 'rejected',
    actor: string,
    at = this.#log.now,
  ): string {
    return this.#log.line(`payment.${what}`, {
      grantId: grant.id,
      paymentId: id('pay', number),
      actor,
      at,
      data: {
        value: value.toString(),
        currency: 'USDC',
        ...(what === 'approved' ? { collectBefore: new Date(at + HOUR).toISOString() } : {}),
      },
    });
  }

  private approve(): void {
    const waiting = this.pick(this.#waiting.filter(({ grant }) => !this.isEnded(grant)));
    if (!waiting) return;
    const place = waiting.grant.path.indexOf(waiting.asking);
    const above = waiting.grant.path.slice(0, place).map(({ id }) => `grant:${id}`);
    const lapsesAt = this.#log.now + HOUR;
    this.lines.push(
      this.verdict(waiting, 'approved', this.pick(['admin:test', ...above]) as string),
    );
    Object.assign(waiting, { lapsesAt, isApproved: true });
  }

  private collected(waiting: Waiting, decision: Data = {}, at?: number): string {
    const { number, grant, value } = waiting;
    return this.signed(grant, value, decision, at, undefined, number);
  }

  private collect(): void {
    const ready = this.#waiting.filter(
      ({ isApproved, grant }) => isApproved && this.isAlive(grant),
    );
    const waiting = this.pick(ready);
    if (!waiting || this.payer() === undefined) return;
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
    this.hold(waiting.number, waiting.grant, waiting.value, this.collected(waiting));
  }

  private end(): void {
    const payment = this.pick(this.#open);
    if (!payment) return;
    const kind = this.pick(['settled', 'released', 'cancelled']) as string;
    const { number, grant, value } = payment;
    this.lines.push(this.#log.ended(number, grant.id, kind, value.toString()));
    this.#open.splice(this.#open.indexOf(payment), 1);
    this.#ended.push(payment);
  }

  private requestCancel(): void {
    const payment = this.pick(this.#open.filter(({ isCancelRequested }) => !isCancelRequested));
    if (!payment) return;
    payment.isCancelRequested = true;
    this.lines.push(
      this.#log.line('payment.cancel_requested', {
        grantId: payment.grant.id,
        paymentId: id('pay', payment.number),
      }),
    );
  }

  private addWallet(address: string): void {
    this.lines.push(this.#log.line('wallet.added', { data: { address } }));
    this.#wallets.set(address, 'active');
  }

  private walletLine(status: string, address: string, actor?: string): string {
    const data = { address };
    return this.#log.line(`wallet.${status}`, actor === undefined ? { data } : { data, actor });
  }

  private turnWallets(): void {
    if (this.#wallets.size < 4) {
      this.addWallet(`0x${String(this.#wallets.size + 3).repeat(40)}`);
      return;
    }
    const [address, status] = this.pick([...this.#wallets].slice(1)) ?? [];
    if (address === undefined || status === 'retired') return;
    const isOpen = this.#open.some(({ from }) => from === address);
    const next =
      status === 'active' ? 'draining' : isOpen || this.#random(2) === 0 ? 'active' : 'retired';
    this.lines.push(this.walletLine(next, address));
    this.#wallets.set(address, next);
  }
}
