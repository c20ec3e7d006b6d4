import { Injectable, Logger } from '@nestjs/common';
import { concat, type Hex, type PublicClient, size, slice } from 'viem';
import { Database } from '../database/database.js';
import type { Network } from '../domain/network.js';
import {
  applyCode,
  type CodeReading,
  type WalletAddress,
  type WalletWithCode,
} from '../ledger/wallet-code.js';
import { Notifier } from '../outbox/notifier.js';
import { shortMessage } from '../treasury/rpc-client.js';
import { describeCode } from '../treasury/wallet-code-view.js';
import { RpcNonsense } from './token-logs.js';
import type { ChainView } from './views.js';

/**
 * Creation code that answers the code of many accounts: behind it stand their addresses, 20 bytes each.
 * It answers 32 zero bytes (EIP-3541 refuses an answer that begins with 0xEF), then 32 bytes an account:
 * the first 31 bytes of its code, and 1 if it has any.
 *
 * ```
 * 00 PUSH1 39 PUSH1 40                            offset of the first address, place of its answer
 * 04 JUMPDEST DUP2 CODESIZE EQ PUSH1 31 JUMPI     until there are no more addresses
 * 0b PUSH1 14 DUP3 PUSH1 00 CODECOPY PUSH1 00 MLOAD PUSH1 60 SHR                    the address
 * 17 PUSH1 1f PUSH1 00 DUP4 DUP4 EXTCODECOPY                                        31 bytes of code
 * 1e EXTCODESIZE ISZERO ISZERO DUP2 PUSH1 1f ADD MSTORE8                            whether there is any
 * 26 PUSH1 20 ADD SWAP1 PUSH1 14 ADD SWAP1 PUSH1 04 JUMP                            the next one
 * 31 JUMPDEST PUSH1 20 SWAP1 SUB PUSH1 20 RETURN
 * ```
 */
const CODES_OF: Hex =
  '0x603960405b81381460315760148260003960005160601c601f600083833c3b151581601f015360200190601401906004565b602090036020f3';

/** The accounts of one call: its answer may be 24,576 bytes long (EIP-170). */
const ACCOUNTS_PER_CALL = 500;

interface WalletRow extends WalletAddress {
  readonly hasCode: boolean;
}

/**
 * Watches the treasury's wallets for code (EIP-7702). A token checks the signature of an account with
 * code by ERC-1271 alone: it asks that code, and what Bursar signs is worth nothing to it.
 *
 * One `eth_call` asks for 500 wallets, at each RPC, once for each new head. It reads EXTCODESIZE, which
 * is what tokens look at. `eth_getCode` would take a request for each wallet, and JSON-RPC batches are
 * limited or refused by many providers; the settlement reading needs calls without a contract anyway.
 */
@Injectable()
export class CodeWatch {
  readonly #log = new Logger('settlement');
  /** The head that each RPC was last asked at, so that a head is looked at once. */
  readonly #lookedAt = new WeakMap<PublicClient, string>();
  /** Networks whose wallets could not be looked at, and why, so that an outage is told once. */
  readonly #failing = new Map<string, string>();

  constructor(
    private readonly database: Database,
    private readonly notifier: Notifier,
  ) {}

  /**
   * Looks at the wallets of a network and writes what has changed. An RPC that does not answer changes
   * nothing: wallets stay as they are until it does.
   *
   * @returns why the wallets could not be looked at everywhere; undefined when they were.
   */
  async watch(
    { network, rpcUrls }: Network,
    views: readonly ChainView[],
  ): Promise<string | undefined> {
    const isNew = ({ client, head }: ChainView) => this.#lookedAt.get(client) !== head.hash;
    if (!views.some(isNew)) return this.#failing.get(network);
    const wallets = await this.wallets(network);
    const looks = await Promise.allSettled(views.map((view) => codesAt(view, wallets)));
    const codes = looks.flatMap((look) => (look.status === 'fulfilled' ? [look.value] : []));
    const failures = looks.flatMap((look) =>
      look.status === 'rejected' ? [look.reason as unknown] : (look.value.failure ?? []),
    );
    this.tell(network, failures[0]);

    const seen = wallets.flatMap((wallet, place): WalletWithCode[] => {
      const code = codes.map(({ atHead }) => atHead[place]).find((each) => each !== undefined);
      return code === undefined ? [] : [{ ...wallet, code }];
    });
    // Only all RPCs together can say that code is gone, and one that is away says nothing.
    const isComplete = failures.length === 0 && views.length === rpcUrls.length;
    const without = wallets.filter(
      ({ hasCode, walletId }, place) =>
        isComplete &&
        hasCode &&
        codes.every((each) => !each.atHead[place] && each.finallyGone.has(walletId)),
    );
    const heads = views.map(({ head }) => head.number).sort(ascending);
    const finals = views.flatMap(({ final }) => final?.number ?? []).sort(ascending);
    if (seen.length > 0 || without.length > 0) {
      await this.write({
        network,
        head: heads.at(-1) ?? 0n,
        seen,
        without,
        final: finals.length === views.length ? finals[0] : undefined,
      });
    }
    if (isComplete) {
      for (const { client, head } of views) this.#lookedAt.set(client, head.hash);
    }
    return this.#failing.get(network);
  }

  private async wallets(network: string): Promise<WalletRow[]> {
    const { rows } = await this.database.pool.query<WalletRow>(
      `SELECT b.treasury_id AS "treasuryId", b.wallet_id AS "walletId", w.address,
         bool_or(b.code IS NOT NULL) AS "hasCode"
       FROM wallet_balances b JOIN wallets w ON w.treasury_id = b.treasury_id AND w.id = b.wallet_id
       WHERE b.network = $1 GROUP BY b.treasury_id, b.wallet_id, w.address ORDER BY b.wallet_id`,
      [network],
    );
    return rows;
  }

  private async write(reading: CodeReading): Promise<void> {
    const { seen, gone } = await applyCode(this.database, reading);
    const { network } = reading;
    for (const { address, code } of seen) {
      this.#log.warn(
        `${network}: wallet ${address} has ${describeCode(code)}; tokens no longer take its signature, so it ` +
          'makes no payment there. Remove the delegation, or move its funds and retire it',
      );
    }
    for (const { address } of gone) {
      this.#log.log(`${network}: wallet ${address} has no code any more; it can pay there again`);
    }
    const treasuries = new Set([...seen, ...gone].map(({ treasuryId }) => treasuryId));
    for (const treasuryId of treasuries) this.notifier.eventsWritten(treasuryId);
  }

  private tell(network: string, error: unknown): void {
    if (error === undefined) {
      if (this.#failing.delete(network)) {
        this.#log.log(`${network}: its wallets can be looked at for code again`);
      }
      return;
    }
    const reason = shortMessage(error);
    if (this.#failing.get(network) !== reason) {
      this.#log.warn(`${network}: its wallets were not looked at for code: ${reason}`);
    }
    this.#failing.set(network, reason);
  }
}

/**
 * The wallets' code as one RPC knows it: at its head; at its final block only for those that had code.
 *
 * @returns what its head shows also when its final block could not be asked, with the failure.
 */
async function codesAt({ client, head, final }: ChainView, wallets: readonly WalletRow[]) {
  const flagged = wallets.filter(({ hasCode }) => hasCode);
  const [atHead, atFinal] = await Promise.allSettled([
    codesOf(client, wallets, head.number),
    final === undefined ? undefined : codesOf(client, flagged, final.number),
  ]);
  if (atHead.status === 'rejected') throw atHead.reason;
  const finalCodes = atFinal.status === 'fulfilled' ? atFinal.value : undefined;
  const finallyGone = new Set(
    finalCodes && flagged.filter((_, place) => !finalCodes[place]).map(({ walletId }) => walletId),
  );
  return {
    atHead: atHead.value,
    finallyGone,
    failure: atFinal.status === 'rejected' ? (atFinal.reason as unknown) : undefined,
  };
}

/** The first bytes of each wallet's code at a block; undefined where there is none. */
async function codesOf(
  client: PublicClient,
  wallets: readonly WalletAddress[],
  blockNumber: bigint,
): Promise<(Hex | undefined)[]> {
  const codes: (Hex | undefined)[] = [];
  for (let from = 0; from < wallets.length; from += ACCOUNTS_PER_CALL) {
    const asked = wallets.slice(from, from + ACCOUNTS_PER_CALL);
    const addresses = asked.map(({ address }) => address as Hex);
    const { data } = await client.call({ data: concat([CODES_OF, ...addresses]), blockNumber });
    if (data === undefined || size(data) !== 32 * (asked.length + 1)) {
      throw new RpcNonsense('the code of wallets was not answered');
    }
    for (const place of asked.keys()) {
      const answer = slice(data, 32 * (place + 1), 32 * (place + 2));
      codes.push(answer.endsWith('01') ? codeIn(slice(answer, 0, 31)) : undefined);
    }
  }
  return codes;
}

/** Only an EIP-7702 designator begins with 0xef (EIP-3541), and it is 23 bytes long. */
function codeIn(bytes: Hex): Hex {
  return bytes.startsWith('0xef') ? slice(bytes, 0, 23) : bytes;
}

/** Compares two block numbers for sorting. */
function ascending(a: bigint, b: bigint): number {
  return Number(a - b);
}
