import type { Amendment, Grant } from '@bursar/sdk';
import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { bursar } from '../api.js';
import { isAmount } from '../format.js';
import { sentence, termsOf } from '../words.js';
import { Dialog, DialogForm, Reason, useAct } from './dialog.js';
import { ReplayedPolicy } from './policy-replay.js';

/** Terms that the form changes, as text; empty takes a limit away. */
interface Fields {
  readonly budget: string;
  readonly maxPerPayment: string;
  readonly maxPayments: string;
  readonly approvalAbove: string;
}

/** Raises or lowers the terms of a grant, with the sentence of what it will allow. */
export function AmendDialog({
  grant,
  budget = grant.budget,
  close,
}: {
  grant: Grant;
  budget?: string;
  close: () => void;
}) {
  const [fields, setFields] = useState<Fields>({
    budget,
    maxPerPayment: grant.maxPerPayment ?? '',
    maxPayments: grant.maxPayments?.toString() ?? '',
    approvalAbove: grant.approvalAbove ?? '',
  });
  const [reason, setReason] = useState('');
  const amendment = amendmentOf(grant, fields);
  const act = useAct(() => bursar.grants.amend(grant.id, { ...amendment, reason }), close);
  const set = (name: keyof Fields) => (event: { currentTarget: { value: string } }) => {
    const { value } = event.currentTarget;
    setFields((now) => ({ ...now, [name]: value.trim() }));
  };
  const isChanged = Object.keys(amendment).length > 0;
  return (
    <Dialog title={`Amend ${grant.holder}`} close={close}>
      <DialogForm
        submit={() => act.mutate(undefined)}
        isPending={act.isPending}
        error={act.error}
        label="Amend"
        isReady={isChanged && reason.trim() !== '' && isWhole(fields)}
        close={close}
      >
        <div className="two">
          <TextInput
            label={`Budget, ${grant.currency}`}
            inputMode="decimal"
            value={fields.budget}
            onChange={set('budget')}
            required
          />
          <TextInput
            label="Most per payment"
            placeholder="any"
            inputMode="decimal"
            value={fields.maxPerPayment}
            onChange={set('maxPerPayment')}
          />
          <TextInput
            label="Number of payments"
            placeholder="any"
            inputMode="numeric"
            value={fields.maxPayments}
            onChange={set('maxPayments')}
          />
          <TextInput
            label="Approval above"
            placeholder="none asked"
            inputMode="decimal"
            value={fields.approvalAbove}
            onChange={set('approvalAbove')}
          />
        </div>
        <p className="sentence">{sentence(amended(grant, fields))}</p>
        {isChanged && isWhole(fields) ? <ReplayedPolicy grant={grant} change={amendment} /> : null}
        <p className="soft">
          Holds for every decision from the moment it is saved, on every replica. What is signed may
          still be spent.
        </p>
        <Reason value={reason} set={setReason} isRequired />
      </DialogForm>
    </Dialog>
  );
}

function isWhole({ budget, maxPerPayment, maxPayments, approvalAbove }: Fields): boolean {
  return (
    isAmount(budget) &&
    [maxPerPayment, approvalAbove].every((text) => text === '' || isAmount(text)) &&
    /^\d*$/.test(maxPayments)
  );
}

/** The terms that differ from the grant's; null takes one away. */
function amendmentOf(grant: Grant, fields: Fields): Amendment {
  const { budget, maxPerPayment, maxPayments, approvalAbove } = fields;
  const given = {
    budget,
    maxPerPayment: maxPerPayment || null,
    maxPayments: maxPayments === '' ? null : Number(maxPayments),
    approvalAbove: approvalAbove || null,
  };
  const changed = Object.entries(given).filter(
    ([name, value]) => grant[name as keyof typeof given] !== value,
  );
  return Object.fromEntries(changed);
}

function amended(grant: Grant, fields: Fields) {
  const { maxPerPayment: _, maxPayments: __, approvalAbove: ___, ...rest } = termsOf(grant);
  return {
    ...rest,
    budget: fields.budget,
    ...(fields.maxPerPayment ? { maxPerPayment: fields.maxPerPayment } : {}),
    ...(/^\d+$/.test(fields.maxPayments) ? { maxPayments: Number(fields.maxPayments) } : {}),
    ...(fields.approvalAbove ? { approvalAbove: fields.approvalAbove } : {}),
  };
}
