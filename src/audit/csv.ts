import { csvCell as cell } from '../http/csv.js';

/** The columns of the CSV export: a record's members in their usual order, `data` as JSON. */
const COLUMNS = ['at', 'kind', 'actor', 'grantId', 'paymentId', 'requestId', 'reason'] as const;

/** The first line of the CSV export (RFC 4180). */
export const CSV_HEAD = `leafIndex,id,${COLUMNS.join(',')},data\r\n`;

/** One record as a line of CSV. */
export function csvLine(leafIndex: string, record: string): string {
  const event = JSON.parse(record) as Record<string, unknown>;
  const cells = COLUMNS.map((column) => cell(event[column]));
  return `${cell(leafIndex)},${cell(event.id)},${cells.join(',')},${cell(JSON.stringify(event.data))}\r\n`;
}
