import { NativeSelect, TextInput } from '@mantine/core';
import { instant, localTime } from '../format.js';
import { useTreasuries } from '../reads.js';

/**
 * Time of a filter. The URL has it with its zone, so that a shared page means the same everywhere. The field shows it in the
 * zone of the browser.
 */
export function TimeField({
  label,
  value,
  set,
}: {
  label: string;
  value: string;
  set: (value: string) => void;
}) {
  return (
    <TextInput
      type="datetime-local"
      label={label}
      value={localTime(value)}
      onChange={(event) => set(instant(event.currentTarget.value) ?? '')}
    />
  );
}

/** A choice of treasuries, where the caller sees several. */
export function TreasuryField({
  value,
  set,
  none = 'All',
}: {
  value: string;
  set: (treasuryId: string) => void;
  /** The words for no choice. */
  none?: string;
}) {
  const treasuries = useTreasuries().data ?? [];
  if (treasuries.length < 2) return null;
  return (
    <NativeSelect
      label="Treasury"
      data={[
        { value: '', label: none },
        ...treasuries.map(({ id, name }) => ({ value: id, label: name })),
      ]}
      value={value}
      onChange={(event) => set(event.currentTarget.value)}
    />
  );
}

/** Limits of a time span, as queries have them. */
export interface Span {
  readonly from?: string;
  readonly to?: string;
}

/** The span of two fields. */
export function spanOf(from: string, to: string): Span {
  const [first, last] = [instant(from), instant(to)];
  return { ...(first ? { from: first } : {}), ...(last ? { to: last } : {}) };
}

/** Saves a text as a file named after the day. */
export function download(name: string, ending: 'csv' | 'jsonl', text: string): void {
  const type = ending === 'csv' ? 'text/csv' : 'application/jsonl';
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = `${name}-${new Date().toISOString().slice(0, 10)}.${ending}`;
  link.click();
  URL.revokeObjectURL(link.href);
}
