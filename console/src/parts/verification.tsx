import { Button, Textarea } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { call, callText } from '../api.js';
import { type Finding, type Proof, verifyProof } from '../verify.js';
import { explain } from './bits.js';

/** Where this browser keeps the key that it saw first: a public one. */
const PINNED = 'bursar:log-key';

interface Verified {
  readonly findings: readonly Finding[];
  readonly proof: Proof;
  readonly key: string;
}

/** Proves in this page that an event stands in the log, without taking the service's word for it. */
export function Verification({ id, treasuryId }: { id: string; treasuryId: string }) {
  const [key, setKey] = useState('');
  const { mutate, data, error, isPending } = useMutation({
    mutationFn: () => verify(id, treasuryId, key.trim()),
  });
  return (
    <section className="card" aria-labelledby="proof">
      <h2 id="proof">Proof</h2>
      <form
        className="form"
        onSubmit={(event) => {
          event.preventDefault();
          mutate();
        }}
      >
        <Textarea
          label="The log’s key, if you have it from elsewhere"
          description="Else the key of the service is taken, and must stay the one that this browser saw first."
          placeholder="name+0123abcd+AX…"
          rows={1}
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
          spellCheck={false}
        />
        <div className="acts">
          <Button type="submit" loading={isPending}>
            Verify in this browser
          </Button>
        </div>
      </form>
      {error ? (
        <p className="note bad" role="alert">
          {explain(error)}
        </p>
      ) : null}
      {data ? <Findings verified={data} /> : null}
    </section>
  );
}

async function verify(id: string, treasuryId: string, given: string): Promise<Verified> {
  const proof = { ...(await call<Proof>('GET', `/v1/audit/events/${id}/proof`)), id };
  const served = (await callText('GET', '/v1/audit/key', { query: { treasuryId } })).trim();
  const place = `${PINNED}:${treasuryId}`;
  const pinned = localStorage.getItem(place);
  const key = given || pinned || served;
  const findings = await verifyProof(proof, key);
  if (given === '' && pinned !== null && pinned !== served) {
    findings.push({
      what: 'The key is the one of before',
      isGood: false,
      detail: `the service now names ${served}; this browser first saw ${pinned}`,
    });
  }
  if (pinned === null && findings.every(({ isGood }) => isGood)) localStorage.setItem(place, key);
  return { findings, proof, key };
}

function Findings({ verified }: { verified: Verified }) {
  const { findings, proof, key } = verified;
  const isGood = findings.every((each) => each.isGood);
  return (
    <div className="form" role="status">
      <p className={isGood ? 'note good' : 'note bad'} data-testid="verdict">
        {isGood
          ? 'Verified: this record stands in the log exactly as it is shown.'
          : 'Not verified: something does not hold. Do not rely on this record.'}
      </p>
      <ol className="steps">
        {findings.map(({ what, isGood: holds, detail }) => (
          <li key={what} className={holds ? '' : 'bad'}>
            <span className="break">
              <strong>
                {what}: {holds ? 'yes' : 'no'}
              </strong>
              <br />
              <span className="soft">{detail}</span>
            </span>
          </li>
        ))}
      </ol>
      <details>
        <summary>The path from the leaf to the root</summary>
        <ol className="steps">
          <li>
            <code className="break">
              leaf {proof.leafIndex}: {proof.leafHash}
            </code>
          </li>
          {proof.inclusionProof.map((hash, index) => (
            <li key={index}>
              <code className="break">with {hash}</code>
            </li>
          ))}
          <li>
            <code className="break">
              root of {proof.treeSize} records, signed by {key.split('+')[0]}
            </code>
          </li>
        </ol>
        <pre>{proof.checkpoint}</pre>
      </details>
    </div>
  );
}
