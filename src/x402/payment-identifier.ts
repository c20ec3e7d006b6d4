import { jsonParts } from '../domain/json-text.js';
import { Problem } from '../domain/problem.js';

/** The extension's key (x402 spec, `extensions/payment_identifier.md`). */
export const PAYMENT_IDENTIFIER = 'payment-identifier';

/** How a seller declares `payment-identifier`. */
export type IdentifierDeclaration = 'absent' | 'proper' | 'malformed';

/**
 * Looks at how a seller declares `payment-identifier`. Proper is as the spec has it: an `info` with a
 * boolean `required`, and without an `id`, which is the payer's to give.
 *
 * @param canEcho - whether the text of the extensions is one that may be echoed; if not, even a proper
 *   declaration counts as malformed.
 * @throws Problem `requirements_invalid` when it is malformed and required: no payment can carry the id
 *   it asks for. What is malformed and optional is left out of the echo by the caller.
 */
export function identifierDeclaration(
  extensions: Readonly<Record<string, unknown>>,
  canEcho: boolean,
): IdentifierDeclaration {
  if (!Object.hasOwn(extensions, PAYMENT_IDENTIFIER)) return 'absent';
  const declared = membersOf(extensions[PAYMENT_IDENTIFIER]);
  const info = membersOf(declared.info);
  const isProper = typeof info.required === 'boolean' && info.id === undefined;
  if (isProper && canEcho) return 'proper';
  if (info.required !== true && declared.required !== true) return 'malformed';
  const fault = isProper
    ? 'the extensions beside it cannot be echoed (nested too deep, a member twice, or text that is not well-formed)'
    : 'not as its specification has it (info.required, no info.id)';
  throw new Problem(
    'requirements_invalid',
    `paymentRequired.extensions.${PAYMENT_IDENTIFIER} is required and ${fault}, ` +
      'so no payment can carry the id it asks for; tell the seller',
    { field: 'paymentRequired' },
  );
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/**
 * Adds a payment's id to the declared extension and leaves every other byte as it came: the client
 * may only add.
 *
 * @param extensionsJson - the `extensions` object's text, declared properly, see {@link identifierDeclaration}.
 * @param id - 16 to 128 of `[A-Za-z0-9_-]`. The same payment always gives the same one: sellers answer
 *   409 to one id with two payloads.
 */
export function withPaymentIdentifier(extensionsJson: string, id: string): string {
  const declared = jsonParts(extensionsJson).find(({ key }) => key === PAYMENT_IDENTIFIER);
  if (!declared) return extensionsJson;
  const info = jsonParts(extensionsJson, declared.start).find(({ key }) => key === 'info');
  if (!info) return extensionsJson;
  const closingBrace = info.end - 1;
  return `${extensionsJson.slice(0, closingBrace)},"id":${JSON.stringify(id)}${extensionsJson.slice(closingBrace)}`;
}

/** Whether echoed extensions carry a payment's id: sellers answer 409 to one id with two payloads. */
export function declaresIdentifier(extensionsJson: string | undefined): boolean {
  return (
    extensionsJson !== undefined &&
    jsonParts(extensionsJson).some(({ key }) => key === PAYMENT_IDENTIFIER)
  );
}
