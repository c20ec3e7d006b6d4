import { authorizationTypes } from '@x402/evm';
import type { Hex } from 'viem';
import { z } from 'zod';
import { sha256Hex } from '../domain/canonical.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import type { Asset, Network } from '../domain/network.js';
import { cancellationTypes } from './cancel-authorization.js';
import type { SignableTypedData } from './signer.js';

/** A request for a signature. Its types are not part of it: they are the two of EIP-3009 that are written here. */
export interface SignRequest {
  /** The wallet that signs, EIP-55 checksummed. */
  readonly address: string;
  readonly chainId: number;
  readonly token: string;
  /** The canonical decision record whose SHA-256 is the nonce (docs/payment-nonce.md). */
  readonly decision?: string | undefined;
  readonly data:
    | Pick<Transfer, 'primaryType' | 'message'>
    | Pick<Exclude<SignableTypedData, Transfer>, 'primaryType' | 'message'>;
}

type Transfer = Extract<SignableTypedData, { primaryType: 'TransferWithAuthorization' }>;

/** How far in the future a signature may end, in seconds: the service's own bound, and some clock. */
const MAX_VALIDITY_SECONDS = 900;

const HOUR_MS = 3_600_000;

/** The members of a decision record that a signature repeats. Others may come. */
const decisionSchema = z.looseObject({
  version: z.literal('bursar.decision.v1'),
  network: z.string(),
  asset: z.string(),
  from: z.string(),
  to: z.string(),
  value: z.string(),
  validAfter: z.string(),
  validBefore: z.string(),
});

/**
 * The rules of a signer that stands alone. Whoever asks gets EIP-3009 payments and cancellations of registered
 * tokens signed, from the wallet that signs, for a short time, each payment for the decision whose hash is its
 * nonce, and of each wallet and token no more than a sum within an hour.
 */
export class SignerRules {
  /** The payments that were signed within the hour, by wallet and token, then by nonce. */
  readonly #signed = new Map<string, Map<Hex, { readonly value: bigint; readonly at: number }>>();

  /**
   * @param maxPerHour - of each wallet and token, in atomic units of the token; undefined for no bound. It is kept in
   *   memory: a restart of the signer begins a new hour.
   */
  constructor(
    private readonly networks: readonly Network[],
    private readonly maxPerHour: (asset: Asset) => bigint | undefined = () => undefined,
  ) {}

  /**
   * The typed data of a request, on the domain of the registered token.
   *
   * @throws Error that says which rule refuses it.
   */
  check(request: SignRequest, now = Date.now()): SignableTypedData {
    const { chainId, token, data } = request;
    const network = this.networks.find((each) => each.chainId === chainId);
    const asset = network?.assets.find((each) => each.address === token);
    if (!network || !asset) {
      throw new Error(`token ${token} of chain ${chainId} is not in BURSAR_NETWORKS`);
    }
    const domain = {
      name: asset.name,
      version: asset.version,
      chainId,
      verifyingContract: asset.address,
    };
    if (data.primaryType === 'CancelAuthorization') {
      if (data.message.authorizer !== request.address)
        throw new Error('authorizer is not the wallet');
      return { domain, types: cancellationTypes, ...data } as SignableTypedData;
    }
    const { message } = data;
    if (message.from !== request.address) throw new Error('from is not the wallet');
    const seconds = BigInt(Math.floor(now / 1000));
    if (message.validBefore > seconds + BigInt(MAX_VALIDITY_SECONDS)) {
      throw new Error(`validBefore is more than ${MAX_VALIDITY_SECONDS} s away`);
    }
    // A signature that has run out moves nothing: it is shown again to whoever asks for an old payment.
    if (message.validBefore > seconds) {
      checkDecision(request.decision, network.network, asset, message);
      this.count(request.address, asset, message, now);
    }
    return { domain, types: authorizationTypes, ...data } as SignableTypedData;
  }

  /** Counts a payment to its wallet's hour; once, however often it is signed. */
  private count(
    wallet: string,
    asset: Asset,
    { nonce, value }: Transfer['message'],
    now: number,
  ): void {
    const most = this.maxPerHour(asset);
    if (most === undefined) return;
    const key = `${wallet} ${asset.address}`;
    const signed = this.#signed.get(key) ?? new Map();
    for (const [each, { at }] of signed) if (at <= now - HOUR_MS) signed.delete(each);
    this.#signed.set(key, signed);
    if (signed.has(nonce)) return;
    let sum = value;
    for (const each of signed.values()) sum += each.value;
    if (sum > most) {
      const amount = (atomic: bigint) =>
        `${formatAmount(atomic, currencyOf(asset.currency))} ${asset.currency}`;
      throw new Error(
        `with this payment wallet ${wallet} would sign ${amount(sum)} within an hour; --max-per-hour allows ${amount(most)}`,
      );
    }
    signed.set(nonce, { value, at: now });
  }
}

/** @throws Error when the text is no decision for exactly this payment. */
function checkDecision(
  text: string | undefined,
  network: string,
  asset: Asset,
  message: Transfer['message'],
): void {
  if (text === undefined) throw new Error('decision is missing: what the nonce is the hash of');
  if (`0x${sha256Hex(text)}` !== message.nonce.toLowerCase()) {
    throw new Error('the nonce is not the SHA-256 of the decision');
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error('the decision is no JSON');
  }
  const decision = decisionSchema.safeParse(json);
  if (!decision.success) throw new Error('the decision is no record of the version that is known');
  const due = {
    network,
    asset: asset.address,
    from: message.from,
    to: message.to,
    value: message.value.toString(),
    validAfter: message.validAfter.toString(),
    validBefore: message.validBefore.toString(),
  };
  for (const [name, value] of Object.entries(due)) {
    if (decision.data[name] !== value) throw new Error(`the decision has another ${name}`);
  }
}
