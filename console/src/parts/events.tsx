import { Checkbox } from '@mantine/core';
import type { AuditEvent } from '../api.js';
import { Link } from '../router.js';
import { Id, Time } from './bits.js';

/** Events that were chosen out of a table. */
export interface Choice {
  readonly chosen: readonly string[];
  readonly toggle: (id: string) => void;
}

/** Events as a table, the newest first; with a choice, each row has a checkbox. */
export function EventTable({ events, choice }: { events: readonly AuditEvent[]; choice?: Choice }) {
  return (
    <section className="scroll" tabIndex={0} aria-label="Events">
      <table>
        <thead>
          <tr>
            <th>When</th>
            <th>Event</th>
            <th>By</th>
            <th>About</th>
            <th>Reason</th>
            {choice ? <th>Compare</th> : null}
          </tr>
        </thead>
        <tbody>
          {events.map(({ id, at, kind, actor, grantId, paymentId, reason }) => (
            <tr key={id}>
              <td>
                <Time at={at} />
              </td>
              <td>
                <Link to={`/audit/${id}`}>{kind}</Link>
              </td>
              <td className="break">
                <Actor actor={actor} />
              </td>
              <td>
                {paymentId ? <Id id={paymentId} to={`/payments/${paymentId}`} /> : null}
                {!paymentId && grantId ? <Id id={grantId} to={`/grants/${grantId}`} /> : null}
              </td>
              <td className="break">{reason}</td>
              {choice ? (
                <td>
                  <Checkbox
                    aria-label={`Compare ${kind} of ${at}`}
                    checked={choice.chosen.includes(id)}
                    onChange={() => choice.toggle(id)}
                  />
                </td>
              ) : null}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** The actor of an event, with a link where that is a grant. */
export function Actor({ actor }: { actor: string }) {
  const grantId = /^grant:(grt_.+)$/.exec(actor)?.[1];
  return grantId ? <Id id={grantId} to={`/grants/${grantId}`} /> : actor;
}
