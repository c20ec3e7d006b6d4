import { Inject, Injectable } from '@nestjs/common';
import type { HolderCaller } from '../access/caller.js';
import { ListedPrices } from '../catalog/listed-prices.js';
import { CONFIG, type Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { reserveOn } from '../domain/charge.js';
import { tellDenial } from '../domain/disclosure.js';
import { remaining } from '../domain/grant.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import type { PaymentOption } from '../domain/payment-option.js';
import { approvalNeeded, type EvaluatedOption } from '../domain/policy.js';
import { paysNoZero } from '../ledger/order.js';
import { type Quote, quote } from '../ledger/quote.js';
import { Networks } from '../treasury/networks.js';
import { Wallets } from '../treasury/wallets.js';
import { parsePaymentRequired } from '../x402/parse.js';
import { requestedResource, sortOptions, type UnusableOption } from './options.js';
import type { PayBody, QuotedOption, QuoteView } from './payments.dto.js';

/** Tells a holder what a payment would cost and meet, before it pays. */
@Injectable()
export class QuoteService {
  constructor(
    private readonly networks: Networks,
    private readonly wallets: Wallets,
    @Inject(CONFIG) private readonly config: Pick<Config, 'maxValiditySeconds' | 'paymentFlows'>,
    private readonly database: Database,
    private readonly listed: ListedPrices,
  ) {}

  /**
   * Decides as a payment would now. Nothing is written, and no lock is taken that a payment waits for.
   *
   * @throws Problem `requirements_invalid` when the whole is malformed. An option that cannot be paid
   *   is no error: it is told with its reason.
   */
  async quote(caller: HolderCaller, body: PayBody): Promise<QuoteView> {
    const terms = parsePaymentRequired(body.paymentRequired);
    const requested = requestedResource(body.request.url);
    const { payable, unusable } = sortOptions(terms, requested, {
      networks: this.networks,
      paymentFlows: this.config.paymentFlows,
    });
    const quoted = await quote(this.database, {
      treasuryId: caller.treasuryId,
      grantId: caller.grantId,
      options: payable,
      signable: await this.wallets.signable(caller.treasuryId),
      maxValiditySeconds: this.config.maxValiditySeconds,
      maxAmount: body.maxAmount,
      option: body.option,
    });
    const { chain, now, decision, weighed } = quoted;
    const grant = chain.at(-1);
    if (!grant) throw new Error('a quote without a grant');
    const known = new Set(weighed.map(({ option }) => option.index));
    const options = [
      ...weighed.map((each) => quotedOption(each, quoted)),
      ...unusable.map((each) => this.unusableOption(each)),
      ...payable
        .filter(({ index }) => !known.has(index))
        .map((option) => passedOver(option, grant)),
    ];
    const selected = decision && decision.outcome !== 'deny' ? decision.option : undefined;
    const catalog = await this.listedPrice(caller, body, selected ?? weighed[0]?.option);
    const units = (some: typeof chain) =>
      formatAmount(remaining(some, now), currencyOf(grant.currency));
    return {
      decision: decision?.outcome ?? 'deny',
      selected: selected?.index ?? null,
      options: options.sort((a, b) => a.index - b.index),
      ...(terms.unread > 0 ? { unread: terms.unread } : {}),
      ...(catalog ? { catalog } : {}),
      grant: {
        remaining: units(chain),
        remainingAfter: selected ? units(reserveOn(chain, selected.amount, now)) : null,
      },
    };
  }

  /** Compares what the catalogs list of the request with what its 402 asks now. */
  private async listedPrice(
    { treasuryId }: HolderCaller,
    { request: { method, url } }: PayBody,
    option: PaymentOption | undefined,
  ) {
    return option && (await this.listed.find({ treasuryId, method, url, ...option }));
  }

  private unusableOption({ index, offer, problem }: UnusableOption): QuotedOption {
    const currency = offer && this.networks.asset(offer.network, offer.asset)?.currency;
    return {
      index,
      decision: 'deny',
      reasons: [
        {
          code: problem.code,
          detail: problem.detail,
          ...(problem.fields.sellerText ? { sellerText: problem.fields.sellerText } : {}),
        },
      ],
      scheme: offer?.scheme ?? null,
      network: offer?.network ?? null,
      asset: offer?.asset ?? null,
      payTo: offer?.payTo ?? null,
      amount: offer && currency ? formatAmount(offer.amount, currencyOf(currency)) : null,
      currency: currency ?? null,
    };
  }
}

function quotedOption(
  { option, denial }: EvaluatedOption,
  { chain, isKnownPayee }: Quote,
): QuotedOption {
  const own = chain.slice(-1).map(({ id }) => id);
  if (denial) {
    const { retryAfterSeconds, nextAction: _action, ...reason } = tellDenial(denial, own);
    const reasons = [
      { ...reason, ...(retryAfterSeconds ? { retryAfter: retryAfterSeconds } : {}) },
    ];
    return { ...viewOption(option), decision: 'deny', reasons };
  }
  const approval = approvalNeeded(chain, option, isKnownPayee);
  if (!approval) return { ...viewOption(option), decision: 'allow', reasons: [] };
  const { grantId, above } = approval;
  const limit = above === undefined ? undefined : formatAmount(above, currencyOf(option.currency));
  const reason = { code: 'approval_required' as const, grantId };
  if (limit === undefined) {
    const detail = `grant ${grantId} asks for an approval of the first payment to a payee it does not know`;
    return {
      ...viewOption(option),
      decision: 'require_approval',
      reasons: [{ ...reason, detail }],
    };
  }
  const reasons = own.includes(grantId)
    ? [{ ...reason, limit, detail: `grant ${grantId} asks for an approval above ${limit}` }]
    : [{ ...reason, detail: `grant ${grantId}, which is above, asks for an approval` }];
  return { ...viewOption(option), decision: 'require_approval', reasons };
}

/** An option that was not weighed: of 0 where the treasury pays none, or in another currency. */
function passedOver(option: PaymentOption, grant: { id: string; currency: string }): QuotedOption {
  if (option.currency === grant.currency) {
    const { code, detail } = paysNoZero();
    return { ...viewOption(option), decision: 'deny', reasons: [{ code, detail }] };
  }
  const detail = `it is in ${option.currency}, and grant ${grant.id} is kept in ${grant.currency}`;
  const reasons = [{ code: 'asset_not_supported', detail }];
  return { ...viewOption(option), decision: 'deny', reasons };
}

function viewOption(option: PaymentOption) {
  const { index, scheme, network, asset, payTo, amount, currency } = option;
  const units = formatAmount(amount, currencyOf(currency));
  return { index, scheme, network, asset, payTo, amount: units, currency };
}
