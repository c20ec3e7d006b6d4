import { Inject, Injectable } from '@nestjs/common';
import type { HolderCaller } from '../access/caller.js';
import { CONFIG, type Config } from '../config.js';
import { Database } from '../database/database.js';
import { reserveOn } from '../domain/charge.js';
import { remaining } from '../domain/grant.js';
import { currencyOf, formatAmount } from '../domain/money.js';
import { approvalNeeded, type PaymentOption, type Weighed } from '../domain/policy.js';
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
    @Inject(CONFIG) private readonly config: Config,
    private readonly database: Database,
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
        .map((option) => otherCurrency(option, grant)),
    ];
    const selected = decision && decision.outcome !== 'deny' ? decision.option : undefined;
    const after = selected ? reserveOn(chain, selected.amount, now) : chain;
    return {
      decision: decision?.outcome ?? 'deny',
      selected: selected?.index ?? null,
      options: options.sort((a, b) => a.index - b.index),
      ...(terms.unread > 0 ? { unread: terms.unread } : {}),
      grant: { remaining: formatAmount(remaining(after, now), currencyOf(grant.currency)) },
    };
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

function quotedOption({ option, denial }: Weighed, { chain }: Quote): QuotedOption {
  if (denial) {
    const { retryAfterSeconds: _seconds, ...reason } = denial;
    return { ...viewOption(option), decision: 'deny', reasons: [reason] };
  }
  const approval = approvalNeeded(chain, option.amount);
  if (!approval) return { ...viewOption(option), decision: 'allow', reasons: [] };
  const { grantId, above } = approval;
  const limit = formatAmount(above, currencyOf(option.currency));
  const detail = `grant ${grantId} asks for an approval above ${limit}`;
  const reasons = [{ code: 'approval_required', grantId, limit, detail }];
  return { ...viewOption(option), decision: 'require_approval', reasons };
}

function otherCurrency(
  option: PaymentOption,
  grant: { id: string; currency: string },
): QuotedOption {
  const detail = `it is in ${option.currency}, and grant ${grant.id} is kept in ${grant.currency}`;
  const reasons = [{ code: 'asset_not_supported', detail }];
  return { ...viewOption(option), decision: 'deny', reasons };
}

function viewOption(option: PaymentOption) {
  const { index, scheme, network, asset, payTo, amount, currency } = option;
  const units = formatAmount(amount, currencyOf(currency));
  return { index, scheme, network, asset, payTo, amount: units, currency };
}
