import { NativeSelect, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useLabelKeys } from '../reads.js';
import { DIMENSIONS, dimensionName } from '../spend.js';

const PLACES = ['Group by', 'Split by', 'One chart per'];
const OTHER_LABEL = 'label';

/** Fields for the dimensions of a report, up to three. */
export function DimensionFields({
  by,
  set,
}: {
  by: readonly string[];
  set: (by: readonly string[]) => void;
}) {
  const labels = useLabelKeys().map((key) => `label:${key}`);
  const known = [...new Set([...labels, ...by.filter((each) => each.startsWith('label:'))])];
  const all = [...DIMENSIONS.map(([dimension]) => dimension), ...known];
  const [typingAt, setTypingAt] = useState<number>();
  const put = (place: number, dimension: string) => {
    setTypingAt(dimension === OTHER_LABEL ? place : undefined);
    if (dimension === OTHER_LABEL) return;
    set(replaced(by, place, dimension));
  };
  return (
    <div className="filters">
      {PLACES.slice(0, by.length + 1).map((label, place) => (
        <NativeSelect
          key={label}
          label={label}
          value={typingAt === place ? OTHER_LABEL : (by[place] ?? '')}
          onChange={(event) => put(place, event.currentTarget.value)}
          data={[
            ...(place === 0 && by.length === 1 ? [] : [{ value: '', label: 'None' }]),
            ...all.map((value) => ({ value, label: dimensionName(value) })),
            { value: OTHER_LABEL, label: 'Another label…' },
          ]}
        />
      ))}
      {typingAt === undefined ? null : <LabelField set={(key) => put(typingAt, `label:${key}`)} />}
    </div>
  );
}

/** Puts a dimension at a place. One that stands elsewhere changes places with the one that was there. */
function replaced(by: readonly string[], place: number, dimension: string): readonly string[] {
  const before = by[place];
  const next = by.map((each) => (each === dimension && dimension !== '' ? (before ?? '') : each));
  next[place] = dimension;
  return next.filter((each) => each !== '');
}

function LabelField({ set }: { set: (key: string) => void }) {
  const [key, setKey] = useState('');
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        set(key);
      }}
    >
      <TextInput
        label="Name of the label, then Enter"
        placeholder="task"
        value={key}
        onChange={(event) => setKey(event.currentTarget.value.trim())}
        pattern="[A-Za-z0-9][A-Za-z0-9_.\-]{0,62}"
        required
      />
    </form>
  );
}
