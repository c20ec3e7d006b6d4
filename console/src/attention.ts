import type { GrantRequest, Payment } from '@bursar/sdk';
import type { Answer, Summary, Treasury, Wallet, Webhook } from './api.js';
import { count, exact, money, period, relative, sum } from './format.js';
import type { Trip } from './reads.js';

/** Something that a person should look at. */
export interface Attention {
  readonly id: string;
  readonly severity: 'high' | 'middle' | 'low';
  readonly text: string;
  readonly detail: string;
  readonly to: string;
  readonly action: string;
}

/** Everything that the list is made of; what is not read yet, or not the caller's to see, is undefined. */
export interface Known {
  readonly treasuries: readonly Treasury[] | undefined;
  readonly summary: Summary | undefined;
  readonly wallets: (Answer<'/v1/wallets'> & { items: Wallet[] }) | undefined;
  readonly approvals: readonly Payment[] | undefined;
  readonly raises: readonly GrantRequest[] | undefined;
  readonly webhooks: readonly Webhook[] | undefined;
  readonly trips: readonly Trip[] | undefined;
  readonly now: number;
}

/** Jobs of a queue that wait before it counts as behind. */
const BEHIND_JOBS = 500;

const RANK = { high: 0, middle: 1, low: 2 } as const;

/** Lists what needs attention, the most urgent first. */
export function attentionOf(known: Known): Attention[] {
  return [
    ...stopped(known),
    ...tripped(known),
    ...service(known),
    ...funds(known),
    ...receivers(known),
    ...decisions(known),
  ].sort((a, b) => RANK[a.severity] - RANK[b.severity]);
}

function stopped({ treasuries = [] }: Known): Attention[] {
  return treasuries
    .filter(({ status }) => status === 'suspended')
    .map(({ id, name, suspension }) => ({
      id: `stopped ${id}`,
      severity: 'high',
      text: `Treasury ${name} is stopped`,
      detail: suspension?.reason ?? `by ${suspension?.by ?? 'somebody'}, without a reason`,
      to: '/treasury',
      action: 'Resume',
    }));
}

function tripped({ trips = [], now }: Known): Attention[] {
  return trips.map(({ grant: { id, holder, breaker }, event: { at } }) => ({
    id: `tripped ${id}`,
    severity: 'high',
    text: `The breaker of ${holder} suspended it`,
    detail:
      `${relative(at, now)}` +
      (breaker
        ? `; its limit is ${count(breaker.refusals, 'refusal')} per ${period(breaker.seconds)}`
        : ''),
    to: `/grants/${id}`,
    action: 'See the grant',
  }));
}

/** Receivers of events that get none, or fail to take them. */
function receivers({ webhooks = [], now }: Known): Attention[] {
  const action = 'See the webhook';
  return webhooks.flatMap(({ id, url, status, statusReason, failingSince }): Attention[] => {
    const to = `/webhooks/${id}`;
    if (status === 'paused') {
      const detail = `${url}: ${statusReason ?? 'no reason was given'}`;
      const text = 'A webhook is paused';
      return [{ id: `webhook ${id}`, severity: 'middle', text, detail, to, action }];
    }
    if (status !== 'active' || failingSince === null) return [];
    const detail = `${url}: the first failure was ${relative(failingSince, now)}`;
    const text = 'A webhook is failing';
    return [{ id: `webhook ${id}`, severity: 'low', text, detail, to, action }];
  });
}

function service({ summary }: Known): Attention[] {
  if (!summary) return [];
  const found: Attention[] = Object.entries(summary.networks)
    .filter(([, state]) => state !== 'ready')
    .map(([network, state]) => ({
      id: `network ${network}`,
      severity: 'high',
      text: `${network} takes no payments`,
      detail: state,
      to: '/treasury',
      action: 'See the network',
    }));
  if (summary.queues === null) {
    found.push(queue('The queues do not answer', 'Settlement and sealing wait for them.'));
  }
  for (const [name, { waiting, failed }] of Object.entries(summary.queues ?? {})) {
    if (waiting > BEHIND_JOBS) {
      found.push(queue(`${name} is behind`, `${count(waiting, 'job')} wait.`));
    }
    if (failed > 0) {
      found.push({ ...queue(`${name} has failed jobs`, count(failed, 'job')), severity: 'middle' });
    }
  }
  return found;
}

function queue(text: string, detail: string): Attention {
  return {
    id: `queue ${text}`,
    severity: 'high',
    text,
    detail,
    to: '/treasury',
    action: 'See the queues',
  };
}

function funds({ summary, wallets }: Known): Attention[] {
  const found: Attention[] = [];
  if (summary && exact(summary.funds.free) === 0n) {
    found.push({
      id: 'funds',
      severity: 'high',
      text: 'The treasury has nothing free',
      detail: `${money(summary.funds.balance)} ${summary.currency} in its wallets, ${money(summary.funds.reserved)} of it held`,
      to: '/treasury',
      action: 'Fund a wallet',
    });
  }
  for (const { id, address, network, heldSince, code } of wallets?.items ?? []) {
    if (heldSince === null && code === null) continue;
    found.push({
      id: `wallet ${id} ${network}`,
      severity: 'high',
      text: heldSince === null ? 'A wallet has code' : 'A wallet was spent from outside',
      detail: `${address} makes no payment on ${network}`,
      to: '/treasury',
      action: 'See the wallet',
    });
  }
  return found;
}

function decisions({ approvals = [], raises = [], now }: Known): Attention[] {
  const found: Attention[] = [];
  const [first] = approvals;
  if (first) {
    const lapses = first.approval
      ? `; the first lapses ${relative(first.approval.lapsesAt, now)}`
      : '';
    const ofOne = approvals.every(({ currency }) => currency === first.currency);
    const total = ofOne
      ? `${money(sum(approvals.map(({ amount }) => amount)))} ${first.currency}`
      : '';
    found.push({
      id: 'approvals',
      severity: 'middle',
      text: `${count(approvals.length, 'payment')} wait${approvals.length === 1 ? 's' : ''} for an approval`,
      detail: `${total}${lapses}`,
      to: '/inbox',
      action: 'Decide',
    });
  }
  if (raises.length > 0) {
    found.push({
      id: 'raises',
      severity: 'low',
      text: `${count(raises.length, 'raise')} asked for`,
      detail: raises[0]?.reason ?? '',
      to: '/inbox',
      action: 'Decide',
    });
  }
  return found;
}
