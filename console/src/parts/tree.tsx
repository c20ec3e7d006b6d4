import type { Grant } from '@bursar/sdk';
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useEffect, useMemo, useRef } from 'react';
import { Link } from '../router.js';
import { Bar, BarKey, LimitedBy, Status } from './bits.js';

const ROW_PX = 64;
/** How many rows before the end the next page is asked for. */
const AHEAD = 20;
const INDENT_PX = 18;
const NONE: readonly Grant[] = [];

/** Grants as a tree: a parent before its children, with what of each budget is used and what bounds it. */
export function GrantTree({
  grants,
  above = NONE,
  readMore,
}: {
  grants: readonly Grant[];
  /** Grants above them, whose limits may bind. */
  above?: readonly Grant[];
  readMore?: (() => void) | undefined;
}) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: grants.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 6,
  });
  const rows = virtualizer.getVirtualItems();
  const isNearEnd = (rows.at(-1)?.index ?? 0) >= grants.length - AHEAD;
  useEffect(() => {
    if (isNearEnd) readMore?.();
  }, [isNearEnd, readMore]);
  const { top, holders } = useMemo(
    () => ({
      top: grants.reduce((least, { depth }) => Math.min(least, depth), Number.MAX_SAFE_INTEGER),
      holders: new Map([...above, ...grants].map(({ id, holder }) => [id, holder])),
    }),
    [grants, above],
  );
  return (
    <>
      <section className="scroll tall" ref={scroller} tabIndex={0} aria-label="Grants">
        <div className="ttable" role="table" aria-label="Grants" aria-rowcount={grants.length + 1}>
          <div className="trow vhead" role="row">
            <span role="columnheader">Holder</span>
            <span role="columnheader">Status</span>
            <span role="columnheader">Budget</span>
            <span role="columnheader">Limited by</span>
          </div>
          <div className="vspace" role="rowgroup" style={{ height: virtualizer.getTotalSize() }}>
            {rows.map(({ index, start }) => {
              const grant = grants[index];
              return grant ? (
                <TreeRow
                  key={grant.id}
                  grant={grant}
                  indent={(grant.depth - top) * INDENT_PX}
                  start={start}
                  index={index}
                  holders={holders}
                />
              ) : null;
            })}
          </div>
        </div>
      </section>
      <BarKey />
    </>
  );
}

/** A row that stays as it is while others are scrolled past. */
const TreeRow = memo(function TreeRow({
  grant,
  indent,
  start,
  index,
  holders,
}: {
  grant: Grant;
  indent: number;
  start: number;
  index: number;
  holders: ReadonlyMap<string, string>;
}) {
  const labels = Object.entries(grant.labels).map(([name, value]) => `${name}:${value}`);
  return (
    <div
      className="trow"
      role="row"
      aria-rowindex={index + 2}
      style={{ transform: `translateY(${start}px)` }}
    >
      <span role="cell" className="cut" style={{ paddingLeft: indent }}>
        <Link to={`/grants/${grant.id}`}>{grant.holder}</Link>
        <br />
        <span className="soft">
          {grant.purpose ?? (labels.join(', ') || `depth ${grant.depth}`)}
        </span>
      </span>
      <span role="cell">
        <Status of={grant.status} />
      </span>
      <span role="cell">
        <span className="num soft">
          {grant.spent} spent of {grant.budget} {grant.currency}
        </span>
        <Bar grant={grant} />
      </span>
      <span role="cell">
        <LimitedBy grant={grant} holders={holders} isBare />
      </span>
    </div>
  );
});
