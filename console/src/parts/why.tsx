import type { Grant } from '@bursar/sdk';
import type { AuditEvent } from '../api.js';
import { exact, isAmount, money } from '../format.js';
import { useChain, useGrant } from '../reads.js';
import { Link } from '../router.js';
import { useMay } from '../session.js';
import { LimitedBy, Status } from './bits.js';

/** Data of a `payment.refused` event. */
interface Refusal {
  readonly code: string;
  readonly detail: string;
  readonly refusedBy: string | null;
  readonly limit: string | null;
  readonly remaining: string | null;
  readonly request: { readonly method: string; readonly url: string };
  readonly options: readonly { readonly payTo: string; readonly network: string }[];
}

/** Which check decided, and the smallest change that would have allowed the payment. */
export function Why({ event }: { event: AuditEvent }) {
  const refusal = event.data as unknown as Refusal;
  const { data: grant } = useGrant(event.grantId ?? '');
  const { data: above = [] } = useChain(grant);
  const chain = grant ? [...above, grant] : [];
  const decider = chain.find(({ id }) => id === refusal.refusedBy);
  return (
    <section className="card" aria-labelledby="why">
      <h2 id="why">Why it was refused</h2>
      <p className="sentence break">{refusal.detail}</p>
      <dl className="facts">
        <dt>Asked</dt>
        <dd>
          {refusal.request.method} {refusal.request.url}
        </dd>
        <dt>Decided by</dt>
        <dd>
          {decider ? <Link to={`/grants/${decider.id}`}>{decider.holder}</Link> : null}
          {!decider && refusal.refusedBy ? 'a grant above yours' : null}
          {refusal.refusedBy === null ? 'the treasury' : null}, <code>{refusal.code}</code>
        </dd>
        <dt>Would have been allowed by</dt>
        <dd>
          <Remedy refusal={refusal} decider={decider} />
        </dd>
      </dl>
      <h2>The grants that had to agree, as they are now</h2>
      <ol className="steps">
        {chain.map((each) => (
          <li key={each.id} className={each.id === refusal.refusedBy ? 'bad' : ''}>
            <span>
              <Link to={`/grants/${each.id}`}>{each.holder}</Link> <Status of={each.status} />{' '}
              {each.id === refusal.refusedBy ? <strong className="bad">said no</strong> : null}
              <br />
              <LimitedBy
                grant={each}
                holders={new Map(chain.map(({ id, holder }) => [id, holder]))}
              />
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Remedy({ refusal, decider }: { refusal: Refusal; decider: Grant | undefined }) {
  const may = useMay();
  const text = remedyOf(refusal, decider);
  const isTerm = /^(budget|per_payment|payments)_exceeded$/.test(refusal.code);
  return (
    <>
      {text}
      {isTerm && decider && may('steer') ? (
        <>
          {' '}
          <Link to={`/grants/${decider.id}`}>Amend {decider.holder}</Link>
        </>
      ) : null}
    </>
  );
}

/** The smallest change, as far as the record and the grants tell it. */
function remedyOf(refusal: Refusal, decider: Grant | undefined): string {
  const { code, limit, remaining, detail, request, options } = refusal;
  const currency = decider?.currency ?? '';
  const [, price = ''] = /^([0-9]+\.[0-9]+) /.exec(detail) ?? [];
  const missing =
    isAmount(price) && remaining !== null && isAmount(remaining)
      ? exact(price) - exact(remaining)
      : undefined;
  switch (code) {
    case 'budget_exceeded':
      return missing === undefined
        ? 'a larger budget'
        : `a budget larger by ${shown(missing)} ${currency}`;
    case 'per_payment_exceeded':
      return price
        ? `a limit per payment of ${money(price)} ${currency}; it is ${limit}`
        : 'a larger limit per payment';
    case 'payments_exceeded':
      return `more than ${limit} payments`;
    case 'window_exceeded':
      return 'waiting for the next period, or a larger window in a new grant';
    case 'payee_not_allowed':
      return `a grant whose payees include ${options[0]?.payTo ?? 'this payee'}`;
    case 'network_not_allowed':
      return `a grant whose networks include ${options[0]?.network ?? 'this network'}`;
    case 'resource_not_allowed':
      return `a grant whose sellers include ${request.url}`;
    case 'grant_suspended':
    case 'treasury_suspended':
      return 'resuming it';
    case 'grant_revoked':
    case 'grant_expired':
      return 'a new grant';
    case 'treasury_insufficient':
      return 'more funds in a wallet of the treasury';
    case 'max_amount_exceeded':
      return `a higher maximum of the agent itself; it was ${limit}`;
    default:
      return 'what the sentence above says';
  }
}

function shown(value: bigint): string {
  const text = value.toString().padStart(19, '0');
  return money(`${text.slice(0, -18)}.${text.slice(-18).replace(/0+$/, '')}`);
}
