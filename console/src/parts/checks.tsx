import type { Payment } from '@bursar/sdk';
import { useQuery } from '@tanstack/react-query';
import type { AuditEvent } from '../api.js';
import { decimal, exact } from '../format.js';
import { readEvents, useHolders } from '../reads.js';
import { Link } from '../router.js';
import { useSession } from '../session.js';
import { isOpeningOf } from '../verify.js';
import { Money } from './bits.js';

/** Counters of a grant just before a payment, in atomic units. */
interface Counters {
  readonly id: string;
  readonly budget: string;
  readonly spent: string;
  readonly reserved: string;
  readonly allocated: string;
  readonly payments: number;
}

/** Every grant that had to agree to a payment, the root first, with its budget as the decision found it. */
export function Checks({ payment, authorized }: { payment: Payment; authorized: AuditEvent }) {
  const { grants = [] } = (authorized.data.decision ?? {}) as { grants?: readonly string[] };
  const holders = useHolders(
    ['grant'],
    grants.map((grant) => ({ group: { grant } })),
  );
  const opened = useOpened(authorized);
  const own = authorized.data.grant as Counters | undefined;
  const counters = new Map(
    [...(opened ?? []), ...(own ? [own] : [])].map((each) => [each.id, each]),
  );
  const value = String((authorized.data.decision as { value?: string } | undefined)?.value ?? '0');
  return (
    <section className="card" aria-labelledby="checks">
      <h2 id="checks">Every grant that had to agree</h2>
      <p className="soft">
        Each budget as it was when this was decided. One refusal would have stopped it.
      </p>
      <section className="scroll" tabIndex={0} aria-label="Grants that had to agree">
        <table>
          <thead>
            <tr>
              <th>Grant</th>
              <th className="right">Budget</th>
              <th className="right">Spent</th>
              <th className="right">Signed, not settled</th>
              <th className="right">Set aside below</th>
              <th className="right">Left before this payment</th>
              <th className="right">Payments before</th>
            </tr>
          </thead>
          <tbody>
            {grants.map((id) => {
              const found = counters.get(id);
              return (
                <tr key={id}>
                  <td>
                    <Link to={`/grants/${id}`}>{holders.get(id) ?? id}</Link>
                  </td>
                  {found ? (
                    <Figures counters={found} payment={payment} value={value} />
                  ) : (
                    <td colSpan={6} className="soft">
                      agreed; its figures are for admins and auditors
                    </td>
                  )}
                </tr>
              );
            })}
          </tbody>
        </table>
      </section>
    </section>
  );
}

function Figures({
  counters,
  payment,
  value,
}: {
  counters: Counters;
  payment: Payment;
  value: string;
}) {
  const { budget, spent, reserved, allocated, payments } = counters;
  const left = BigInt(budget) - BigInt(spent) - BigInt(reserved) - BigInt(allocated);
  const scale = scaleOf(payment.amount, value);
  return (
    <>
      {[budget, spent, reserved, allocated, left].map((atomic, index) => (
        <td key={index} className="right">
          {scale === undefined ? (
            <>{String(atomic)} atomic units</>
          ) : (
            <Money amount={decimal(BigInt(atomic) * scale)} currency={payment.currency} />
          )}
        </td>
      ))}
      <td className="right num">{payments}</td>
    </>
  );
}

/** An atomic unit in the exact numbers of the console, from one amount in both; undefined for a payment of 0. */
function scaleOf(amount: string, atomic: string): bigint | undefined {
  const units = BigInt(atomic);
  return units === 0n ? undefined : exact(amount) / units;
}

/**
 * The counters of the grants above the paying one. Its record only commits to them; a record in front of it, for admins and
 * auditors, opens the commitment. This page believes it only when it hashes to the commitment.
 */
function useOpened(authorized: AuditEvent): readonly Counters[] | undefined {
  const { grantId } = useSession();
  const commitment = authorized.data.ancestors;
  const { data } = useQuery({
    queryKey: ['opened', authorized.id],
    queryFn: async ({ signal }) => {
      const { at } = authorized;
      const { items } = await readEvents({ kind: 'audit.opened', from: at, to: at }, { signal });
      for (const { data: record } of items) {
        for (const each of record.openings as readonly Record<string, unknown>[]) {
          if (each.commitment !== commitment) continue;
          if (!(await isOpeningOf(each))) throw new Error('the opening is of other figures');
          return each.chain as readonly Counters[];
        }
      }
      return [];
    },
    enabled: grantId === null && typeof commitment === 'string',
    staleTime: Number.POSITIVE_INFINITY,
  });
  return data;
}
