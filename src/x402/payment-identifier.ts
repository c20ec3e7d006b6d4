import { Problem } from '../domain/problem.js';
import { jsonParts } from './json-text.js';

/** The extension's key (x402 spec, `extensions/payment_identifier.md`). */
const KEY = 'payment-identifier';

/**
 * Checks that a seller which declares `payment-identifier` declares it as the spec has it: an `info`
 * with a boolean `required`, and without an `id`, which is the payer's to give.
 *
 * @throws Problem `requirements_invalid` saying what is wrong.
 */
export function checkPaymentIdentifier(extensions: Readonly<Record<string, unknown>>): void {
  if (!Object.hasOwn(extensions, KEY)) return;
  const { info } = (extensions[KEY] ?? {}) as { info?: unknown };
  if (typeof info !== 'object' || info === null || Array.isArray(info)) {
    throw malformed('has no info object');
  }
  const { required, id } = info as { required?: unknown; id?: unknown };
  if (typeof required !== 'boolean') throw malformed('does not say whether it is required');
  if (id !== undefined) throw malformed('already has an id');
}

/**
 * Adds a payment's id to the declared extension and leaves every other byte as it came: the client
 * may only add.
 *
 * @param extensionsJson - the `extensions` object's text, checked by {@link checkPaymentIdentifier}.
 * @param id - 16 to 128 of `[A-Za-z0-9_-]`. The same payment always gives the same one: sellers answer
 *   409 to one id with two payloads.
 */
export function withPaymentIdentifier(extensionsJson: string, id: string): string {
  const declared = jsonParts(extensionsJson).find(({ key }) => key === KEY);
  if (!declared) return extensionsJson;
  const info = jsonParts(extensionsJson, declared.start).find(({ key }) => key === 'info');
  if (!info) return extensionsJson;
  const closingBrace = info.end - 1;
  return `${extensionsJson.slice(0, closingBrace)},"id":${JSON.stringify(id)}${extensionsJson.slice(closingBrace)}`;
}

function malformed(what: string): Problem {
  return new Problem(
    'requirements_invalid',
    `paymentRequired.extensions.${KEY} ${what}, so no payment can carry the id it asks for; tell the seller`,
    { field: 'paymentRequired' },
  );
}
