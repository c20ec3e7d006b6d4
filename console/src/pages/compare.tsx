import { Checkbox } from '@mantine/core';
import { useState } from 'react';
import type { AuditEvent } from '../api.js';
import { type Member, membersOf } from '../differences.js';
import { Empty, Failure, Head, Id, Loading } from '../parts/bits.js';
import { useEvent } from '../reads.js';
import { Link, useParam, useTitle } from '../router.js';

/** Two events side by side: what differs between them. */
export function ComparePage() {
  const [firstId] = useParam('first');
  const [secondId] = useParam('second');
  const [first, second] = [useEvent(firstId), useEvent(secondId)];
  useTitle('Compare');
  const failed = [first, second].find(({ error }) => error !== null);
  return (
    <>
      <Head title="Two events compared" crumbs={<Link to="/audit">Audit</Link>} />
      {failed ? (
        <Failure isPage error={failed.error} retry={() => void failed.refetch()} />
      ) : first.data && second.data ? (
        <Comparison first={first.data} second={second.data} />
      ) : (
        <Loading what="both events" />
      )}
    </>
  );
}

function Comparison({ first, second }: { first: AuditEvent; second: AuditEvent }) {
  const [showsAll, setShowsAll] = useState(false);
  const members = membersOf(first, second);
  const differing = members.filter((member) => member.first !== member.second);
  const shown = showsAll ? members : differing;
  return (
    <section className="card" aria-labelledby="differences">
      <h2 id="differences">
        {differing.length} of {members.length} members differ
      </h2>
      <Checkbox
        label="Show those that are the same"
        checked={showsAll}
        onChange={(event) => setShowsAll(event.currentTarget.checked)}
      />
      {shown.length === 0 ? <Empty title="They are the same event" /> : null}
      {shown.length > 0 ? (
        <section className="scroll" tabIndex={0} aria-label="Members">
          <table>
            <thead>
              <tr>
                <th>Member</th>
                <th>
                  <Id id={first.id} to={`/audit/${first.id}`} />
                </th>
                <th>
                  <Id id={second.id} to={`/audit/${second.id}`} />
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map((member) => (
                <MemberRow key={member.path} member={member} />
              ))}
            </tbody>
          </table>
        </section>
      ) : null}
    </section>
  );
}

function Side({ value }: { value: string | undefined }) {
  return (
    <td className="break">
      {value === undefined ? <span className="soft">not there</span> : <code>{value}</code>}
    </td>
  );
}

function MemberRow({ member: { path, first, second } }: { member: Member }) {
  return (
    <tr>
      <th scope="row">{path}</th>
      <Side value={first} />
      <Side value={second} />
    </tr>
  );
}
