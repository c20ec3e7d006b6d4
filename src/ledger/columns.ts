// How the members of a record are stored in a table's columns, said once: for reading rows, and for writing them one by
// one or many at a time.

/** A row as the driver gives it: NUMERIC and BIGINT as text, JSON parsed, a missing value as null. */
type Row = Readonly<Record<string, unknown>>;

/** How one member of a record is stored. */
export interface Stored<Value> {
  /** The columns that hold it, with their SQL types. */
  readonly columns: Readonly<Record<string, string>>;
  readonly read: (row: Row) => Value;
  /** The value of each column, in order, as the driver sends it. */
  readonly write: (value: Value) => readonly unknown[];
}

/** How each member of a record is stored. */
export type Table<Members> = { readonly [Name in keyof Members]-?: Stored<Members[Name]> };

/** A member that one column holds. */
interface OneColumn<Value> extends Stored<Value> {
  readonly name: string;
}

function column<Cell, Value>(
  name: string,
  type: string,
  read: (cell: Cell) => Value,
  write: (value: Value) => unknown,
): OneColumn<Value> {
  return {
    name,
    columns: { [name]: type },
    read: (row) => read(row[name] as Cell),
    write: (value) => [write(value)],
  };
}

/** A value that the driver reads and writes as it is. */
export function plain<Value>(name: string, type: string): OneColumn<Value> {
  return column<Value, Value>(
    name,
    type,
    (cell) => cell,
    (value) => value,
  );
}

/** An amount in atomic units, NUMERIC. */
export function amount(name: string): OneColumn<bigint> {
  return column<string, bigint>(name, 'numeric', BigInt, String);
}

/** A whole number that may pass 2^53, BIGINT. */
export function bigint(name: string): OneColumn<bigint> {
  return column<string, bigint>(name, 'bigint', BigInt, String);
}

/** A count, BIGINT, that stays below 2^53. */
export function count(name: string): OneColumn<number> {
  return column<string, number>(name, 'bigint', Number, (value) => value);
}

/** A value that a JSONB column holds in another shape. */
export function json<Json, Value>(
  name: string,
  read: (json: Json) => Value,
  write: (value: Value) => Json,
): OneColumn<Value> {
  return column<Json, Value>(name, 'jsonb', read, (value) => JSON.stringify(write(value)));
}

/** A value that a JSONB column holds as it is. */
export function asJson<Value>(name: string): OneColumn<Value> {
  return json<Value, Value>(
    name,
    (value) => value,
    (value) => value,
  );
}

/** A member that may be missing: undefined, and NULL in its column. */
export function optional<Value>(stored: OneColumn<Value>): OneColumn<Value | undefined> {
  const { name, columns } = stored;
  return {
    name,
    columns,
    read: (row) => (row[name] === null ? undefined : stored.read(row)),
    write: (value) => (value === undefined ? [null] : stored.write(value)),
  };
}

/** The names of a table's columns, in order. */
export function columnNames<Members>(table: Table<Members>): string[] {
  return parts(table).flatMap(({ columns }) => Object.keys(columns));
}

/** The columns of a table for SELECT, of a table with this alias. */
export function selected<Members>(table: Table<Members>, alias: string): string {
  return columnNames(table)
    .map((name) => `${alias}.${name}`)
    .join(', ');
}

/**
 * A record of a table whose members are all undefined. What is read is put into copies of one such record: V8 copies a
 * record many times faster than it adds members to one.
 */
export function blank<Members>(table: Table<Members>): Partial<Members> {
  return Object.fromEntries(
    Object.keys(table).map((name) => [name, undefined]),
  ) as Partial<Members>;
}

/**
 * A function that reads a row of {@link selected} into a copy of a record.
 *
 * @param table - the members that it reads.
 * @returns the copy; the other members are as they were.
 */
export function readerOver<Members>(
  table: Table<Members>,
): <Others extends object>(row: object, record: Others) => Omit<Others, keyof Members> & Members {
  const entries = Object.entries(table) as [string, Stored<unknown>][];
  return (row, record) => {
    const members = { ...record } as Record<string, unknown>;
    for (const [name, stored] of entries) members[name] = stored.read(row as Row);
    return members as never;
  };
}

/** A function that reads a row of {@link selected}. */
export function reader<Members>(table: Table<Members>): (row: object) => Members {
  const read = readerOver(table);
  const record = blank(table);
  return (row) => read(row, record) as Members;
}

/** The values of a record in the order of {@link columnNames}. */
export function valuesOf<Members>(table: Table<Members>, members: NoInfer<Members>): unknown[] {
  return Object.entries(table).flatMap(([name, stored]) =>
    (stored as Stored<unknown>).write(members[name as keyof Members]),
  );
}

/**
 * The parameters of `unnest` for many records at once: an array for each column.
 *
 * @param first - number of the first parameter.
 */
export function arrays<Members>(table: Table<Members>, first: number): string {
  return parts(table)
    .flatMap(({ columns }) => Object.values(columns))
    .map((type, place) => `$${first + place}::${type}[]`)
    .join(', ');
}

/** A function that gives the values of {@link arrays}. */
export function arrayWriter<Members>(
  table: Table<Members>,
): (records: readonly Members[]) => unknown[][] {
  const entries = Object.entries(table) as [keyof Members, Stored<unknown>][];
  return (records) =>
    entries.flatMap(([name, stored]) => {
      const written = records.map((record) => stored.write(record[name]));
      return Object.keys(stored.columns).map((_, place) => written.map((values) => values[place]));
    });
}

function parts<Members>(table: Table<Members>): Stored<unknown>[] {
  return Object.values(table);
}
