import type { Database } from '../database/database.js';
import type { Network } from '../domain/network.js';
import { adoptAsPayment } from '../ledger/adoptions.js';
import { fence, unfence } from '../ledger/fences.js';
import { adoptSpends } from '../ledger/outside-spends.js';
import { UsageError } from '../options.js';

/** Whom the log names for what is done on the command line. */
const ACTOR = 'admin:cli';

/**
 * Explains the spends of a transaction, and prints them; with a grant and a key as that key's payment.
 *
 * @throws Error without a transaction or a reason; Problem as {@link adoptSpends} and {@link adoptAsPayment}.
 */
export async function adopt(
  database: Database,
  transaction: string | undefined,
  reason: string | undefined,
  as: {
    grantId?: string | undefined;
    key?: string | undefined;
    networks?: readonly Network[];
  } = {},
): Promise<void> {
  if (transaction === undefined || !/^0x[0-9a-fA-F]{64}$/.test(transaction)) {
    throw new Error('adopt takes the hash of a transaction: 0x and 64 hexadecimal digits');
  }
  const by = { actor: ACTOR, reason: requireReason(reason) };
  const { grantId, key, networks = [] } = as;
  if ((grantId === undefined) !== (key === undefined)) {
    throw new Error('--grant and --key belong together: whose payment it was, and under which key');
  }
  if (grantId !== undefined && key !== undefined) {
    const id = await adoptAsPayment(database, transaction.toLowerCase(), {
      ...by,
      grantId,
      idempotencyKey: key,
      assetOf: (name, address) =>
        networks
          .find(({ network }) => network === name)
          ?.assets.find((asset) => asset.address === address),
    });
    process.stdout.write(`${id} of grant ${grantId} is settled by ${transaction}\n`);
    return;
  }
  const spends = await adoptSpends(database, transaction.toLowerCase(), by);
  for (const { amount, asset, network, address, payTo } of spends) {
    process.stdout.write(
      `${network}: ${amount} atomic units of ${asset} from ${address} to ${payTo ?? 'nobody'} are explained\n`,
    );
  }
}

/**
 * Fences the lost keys of some treasuries, or of all, or ends that; prints each treasury.
 *
 * @throws Error without a reason.
 */
export async function setFences(
  database: Database,
  act: 'fence' | 'unfence',
  treasuries: readonly string[] | undefined,
  reason: string | undefined,
): Promise<void> {
  const by = { actor: ACTOR, reason: requireReason(reason) };
  const { rows } = await database.pool.query<{ id: string; name: string }>(
    'SELECT id, name FROM treasuries WHERE $1::text[] IS NULL OR id = ANY ($1) ORDER BY id',
    [treasuries ?? null],
  );
  for (const { id, name } of rows) {
    const isFence = act === 'fence';
    await database.transaction<unknown>((tx) =>
      isFence ? fence(tx, id, by) : unfence(tx, id, by),
    );
    process.stdout.write(
      isFence
        ? `${name}: no key without a payment makes one, until the chains have shown what may be lost\n`
        : `${name}: every key may make a payment\n`,
    );
  }
}

function requireReason(reason: string | undefined): string {
  if (reason !== undefined && reason.trim() !== '' && reason.length <= 1000) return reason;
  throw new UsageError('--reason is missing; say in at most 1,000 characters why');
}
