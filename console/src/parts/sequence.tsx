import type { Payment } from '@bursar/sdk';
import type { AuditEvent } from '../api.js';
import { clock, short } from '../format.js';

/** Parties of a payment, from the left. */
const LANES = ['Agent', 'Bursar', 'Person', 'Chain'] as const;
type Lane = (typeof LANES)[number];

/** One arrow of the diagram. */
export interface Step {
  readonly from: Lane;
  readonly to: Lane;
  readonly text: string;
  readonly at: string | null;
}

const LANE_PX = 270;
const STEP_PX = 46;
const TOP_PX = 44;
const LEFT_PX = 80;

const ARROWS: Readonly<Record<string, (payment: Payment) => Omit<Step, 'at'>>> = {
  'payment.pending': () => ({ from: 'Bursar', to: 'Person', text: 'asks for an approval' }),
  'payment.approved': () => ({ from: 'Person', to: 'Bursar', text: 'approves' }),
  'payment.rejected': () => ({ from: 'Person', to: 'Bursar', text: 'rejects, or it lapsed' }),
  'payment.authorized': ({ amount, currency }) => ({
    from: 'Bursar',
    to: 'Agent',
    text: `signs ${amount} ${currency}`,
  }),
  'payment.cancel_requested': () => ({ from: 'Bursar', to: 'Chain', text: 'cancels' }),
  'payment.receipt': () => ({ from: 'Agent', to: 'Bursar', text: 'hands in a receipt' }),
  'payment.seen': () => ({ from: 'Chain', to: 'Bursar', text: 'shows the transfer' }),
  'payment.settled': ({ transaction }) => ({
    from: 'Chain',
    to: 'Bursar',
    text: `final${transaction ? ` in ${short(transaction, 5)}` : ''}`,
  }),
  'payment.released': () => ({ from: 'Chain', to: 'Bursar', text: 'can never be used: released' }),
  'payment.cancelled': () => ({ from: 'Chain', to: 'Bursar', text: 'the cancellation is final' }),
};

/** The story of a payment, from its events. */
export function stepsOf(payment: Payment, events: readonly AuditEvent[]): Step[] {
  const asked: Step = {
    from: 'Agent',
    to: 'Bursar',
    text: 'met a 402, asks to pay',
    at: payment.createdAt,
  };
  const told = [...events].reverse().flatMap(({ kind, at }) => {
    const arrow = ARROWS[kind]?.(payment);
    return arrow ? [{ ...arrow, at }] : [];
  });
  return [asked, ...told];
}

/** Draws who said what to whom; the same stands below it as a list for a screen reader. */
export function Sequence({ steps }: { steps: readonly Step[] }) {
  const lanes = LANES.filter(
    (lane) => lane !== 'Person' || steps.some(({ from, to }) => from === lane || to === lane),
  );
  const width = LEFT_PX * 2 + LANE_PX * (lanes.length - 1);
  const height = TOP_PX + STEP_PX * steps.length + 10;
  const x = (lane: Lane) => LEFT_PX + LANE_PX * lanes.indexOf(lane);
  return (
    <section className="scroll" tabIndex={0} aria-label="Sequence of the payment">
      <svg
        className="sequence"
        style={{ maxWidth: width }}
        viewBox={`0 0 ${width} ${height}`}
        aria-hidden="true"
      >
        {lanes.map((lane) => (
          <g key={lane}>
            <text x={x(lane)} y={20} textAnchor="middle" fontWeight="600">
              {lane}
            </text>
            <line className="lane" x1={x(lane)} x2={x(lane)} y1={30} y2={height} />
          </g>
        ))}
        {steps.map(({ from, to, text, at }, index) => {
          const y = TOP_PX + STEP_PX * index + 24;
          const [start, end] = [x(from), x(to)];
          const tip = end > start ? -8 : 8;
          return (
            <g key={index}>
              <text x={(start + end) / 2} y={y - 7} textAnchor="middle">
                {text}
                {at ? ` · ${clock(at)}` : ''}
              </text>
              <line className="arrow" x1={start} x2={end} y1={y} y2={y} />
              <path className="tip" d={`M${end} ${y} l${tip} -4 v8 z`} />
            </g>
          );
        })}
      </svg>
      <ol className="sr">
        {steps.map(({ from, to, text }, index) => (
          <li key={index}>
            {from} to {to}: {text}
          </li>
        ))}
      </ol>
    </section>
  );
}
