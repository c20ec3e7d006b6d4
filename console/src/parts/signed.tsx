import type { Payment } from '@bursar/sdk';
import { useQuery } from '@tanstack/react-query';
import type { AuditEvent } from '../api.js';
import { Link } from '../router.js';
import { nonceOf } from '../verify.js';

/** Members of an authorization (EIP-3009), in the order of its signature. */
const MEMBERS = ['from', 'to', 'value', 'validAfter', 'validBefore'] as const;

/** The signed members, and the decision that the nonce commits to, hashed in this page. */
export function Signed({ payment, authorized }: { payment: Payment; authorized: AuditEvent }) {
  const decision = authorized.data.decision as Readonly<Record<string, unknown>>;
  const { data: nonce } = useQuery({
    queryKey: ['nonce', authorized.id],
    queryFn: () => nonceOf(decision),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const isGood = nonce === payment.nonce;
  return (
    <section className="card" aria-labelledby="signed">
      <h2 id="signed">What was signed</h2>
      <dl className="facts">
        {MEMBERS.map((name) => (
          <div key={name} style={{ display: 'contents' }}>
            <dt>{name}</dt>
            <dd>
              <code>{String(decision[name])}</code>
              {name === 'value' ? ` (${payment.amount} ${payment.currency})` : ''}
            </dd>
          </div>
        ))}
        <dt>nonce</dt>
        <dd>
          <code>{payment.nonce}</code>
        </dd>
      </dl>
      {nonce === undefined ? null : (
        <p className={isGood ? 'note good' : 'note bad'} role="status">
          {isGood
            ? 'This page hashed the decision below: it is the nonce. The transfer on chain commits to this decision.'
            : `This page hashed the decision below to ${nonce}, which is not the nonce. Do not rely on this record.`}{' '}
          <Link to={`/audit/${authorized.id}`}>Prove that the log has it</Link>
        </p>
      )}
      <details>
        <summary>The decision, word for word</summary>
        <pre tabIndex={0}>{JSON.stringify(decision, null, 2)}</pre>
      </details>
    </section>
  );
}
