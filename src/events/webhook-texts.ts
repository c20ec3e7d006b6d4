import type { LinkSubject } from '../approval-links/approval-links.service.js';
import { recordFor } from './shown-record.js';
import type { DueDelivery, WebhookRow } from './webhook-rows.js';

/** Characters of a receiver's answer that are kept. */
const ANSWER_KEPT = 1_024;

/** Subject of a decision, by the event of a delivery; undefined for events that ask for none. */
export function subjectOf({ record, kind }: DueDelivery): LinkSubject | undefined {
  if (record === null) return undefined;
  const { paymentId, data } = JSON.parse(record);
  if (kind === 'approval.needed') return { kind: 'payment', id: paymentId };
  if (kind === 'grant_request.created') return { kind: 'raise', id: data.grantRequestId };
  return undefined;
}

/** The body of a delivery: the record as its webhook's owner may see it, and the link beside it. */
export function bodyOf(
  { id, owner_id }: WebhookRow,
  due: DueDelivery,
  at: Date,
  link?: string,
): string {
  if (due.record === null) {
    const test = { type: 'webhook.test', timestamp: at.toISOString(), data: { webhookId: id } };
    return JSON.stringify(test);
  }
  const { record, path } = due;
  const shown = owner_id === null ? record : recordFor({ record, path: path ?? [] }, owner_id);
  const head = { type: due.kind, timestamp: JSON.parse(record).at, approvalLink: link };
  return `${JSON.stringify(head).slice(0, -1)},"data":${shown}}`;
}

/** A receiver's answer as it is stored: one that repeats the link does not show it to whoever reads deliveries. */
export function withoutLink(answer: string, link: string | undefined): string {
  const secret = link?.slice(link.lastIndexOf('/') + 1);
  return kept(secret === undefined ? answer : answer.replaceAll(secret, '[redacted]'));
}

/** A stranger's text as it is stored. */
export function kept(text: string): string {
  return text.replaceAll('\u0000', '\ufffd').slice(0, ANSWER_KEPT).toWellFormed();
}
