import type { Bursar } from './bursar.js';
import { asObject, base64url, decodeJson, utf8 } from './bytes.js';
import { BursarError, PaidNotDelivered, PaymentOutcomeUnknown, refuseUnknown } from './errors.js';
import type { PaymentOptions, ResponsePayment } from './fetch.js';
import { keyOfIntent, type Purchase, Purchases } from './purchases.js';
import type { Payment, PayOrder, Quote } from './types.js';

/** The part of an MCP client that this package uses: that of `@modelcontextprotocol/sdk`, and of its successors. */
export interface McpClient {
  request(...input: never[]): Promise<unknown>;
  readonly transport?: object | undefined;
}

/** A tool call as it is about to be paid. */
export interface ToolCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** Options of paying for tools. */
export interface McpPaymentOptions
  extends Pick<
    PaymentOptions,
    'maxAmount' | 'memo' | 'waitForApproval' | 'onApproval' | 'maxWait'
  > {
  /** The server's URL, where the transport has none (stdio): grants are held against it. */
  readonly url?: string | URL | undefined;
  /** Names the purchase of a call: the same intent never pays twice, in every process. */
  readonly intent?: ((call: ToolCall) => string | undefined) | undefined;
  /** Called with the prices and the grant's decision before anything is signed; false pays nothing. */
  readonly confirm?: ((quote: Quote, call: ToolCall) => boolean | Promise<boolean>) | undefined;
}

/** Cost of a tool call. */
export type ToolPayment = Omit<ResponsePayment, 'answered'>;

/** Where a payment stands in a call, and the receipt in its result (x402, transports-v2/mcp.md). */
const PAYMENT = 'x402/payment';
const RECEIPT = 'x402/payment-response';

/** How many purchases of the past one call may find over, and go on to the next. */
const MAX_ENDED = 20;

const paid = new WeakMap<object, ToolPayment>();

type Request = { readonly method: string; readonly params?: Record<string, unknown> };
type Send = (request: Request, ...rest: unknown[]) => Promise<unknown>;

/**
 * Lets an MCP client pay for tools, in place: a call that is answered with x402 terms is paid by Bursar and repeated
 * once. One call is one purchase. The terms are met below `callTool`, so that tools with an output schema work as well.
 *
 * @returns the same client.
 * @throws (of a call) BursarError for a refusal, PaidNotDelivered, PaymentOutcomeUnknown, ApprovalRequired.
 * @example
 * const client = withBursar(new Client({ name: 'agent', version: '1' }), bursar, { maxAmount: '0.05' });
 * await client.connect(transport);
 * const result = await client.callTool({ name: 'weather', arguments: { city: 'Kyiv' } });
 * toolPaymentOf(result)?.amount;
 */
export function withBursar<Client extends McpClient>(
  client: Client,
  bursar: Bursar,
  options: McpPaymentOptions = {},
): Client {
  const {
    maxAmount,
    memo,
    waitForApproval,
    onApproval,
    maxWait,
    url,
    intent,
    confirm,
    ...unknown
  } = options;
  refuseUnknown(unknown);
  const send = client.request.bind(client) as unknown as Send;
  const purchases = new Purchases();
  const request: Send = async (asked, ...rest) => {
    const isPayable = asked.method === 'tools/call' && !(PAYMENT in metaOf(asked.params));
    if (!isPayable) return send(asked, ...rest);
    const unpaid = await answerOf(send, asked, rest);
    if (!unpaid.terms) return unpaid.settle();
    return new PaidCall(send, asked, rest, bursar, options, purchases, urlOf(client, options)).run(
      unpaid.terms,
    );
  };
  client.request = request as unknown as Client['request'];
  return client;
}

/** Cost of the result of a tool call; undefined if it was free. */
export function toolPaymentOf(result: unknown): ToolPayment | undefined {
  return typeof result === 'object' && result !== null ? paid.get(result) : undefined;
}

class PaidCall {
  readonly #call: ToolCall;

  constructor(
    private readonly send: Send,
    private readonly asked: Request,
    private readonly rest: unknown[],
    private readonly bursar: Bursar,
    private readonly options: McpPaymentOptions,
    private readonly purchases: Purchases,
    private readonly url: string,
  ) {
    const { name, arguments: given } = asked.params ?? {};
    this.#call = { name: String(name), arguments: asObject(given) ?? {} };
  }

  async run(terms: Record<string, unknown>): Promise<unknown> {
    const { intent, confirm, maxAmount } = this.options;
    const name = intent?.(this.#call);
    const order: PayOrder = {
      paymentRequired: terms,
      request: { method: 'POST', url: this.url },
      memo: this.options.memo ?? `MCP tool ${this.#call.name}`.slice(0, 500),
      ...(maxAmount === undefined ? {} : { maxAmount }),
    };
    if (confirm) {
      const quote = await this.bursar.payments.quote(order);
      if (!(await confirm(quote, this.#call))) {
        throw new BursarError('declined', 'confirm() said no; nothing was signed');
      }
      // Pay only what was confirmed.
      if (quote.selected !== null) order.option = quote.selected;
    }
    const requestId = JSON.stringify([this.url, this.#call.name, this.#call.arguments]);
    for (let ended = 0; ; ended++) {
      const purchase = name
        ? this.purchases.named(await keyOfIntent(name))
        : await this.purchases.take(requestId);
      try {
        return await this.#pay(order, purchase);
      } catch (error) {
        const isOver = error instanceof BursarError && error.nextAction === 'new_key';
        if (!isOver) throw error;
        this.purchases.end(purchase);
        // Bursar alone says that a new key cannot pay twice. A name stands for one purchase only.
        if (purchase.isNamed || ended === MAX_ENDED) throw error;
      } finally {
        this.purchases.release(purchase);
      }
    }
  }

  async #pay(order: PayOrder, purchase: Purchase): Promise<unknown> {
    const { waitForApproval, onApproval, maxWait } = this.options;
    const { key } = purchase;
    const signal = signalOf(this.rest);
    const signed = await this.bursar.pay(order, {
      idempotencyKey: key,
      ...(waitForApproval === undefined ? {} : { waitForApproval }),
      ...(onApproval === undefined ? {} : { onApproval }),
      ...(maxWait === undefined ? {} : { maxWait }),
      ...(signal ? { signal } : {}),
    });
    const { payment, header, remaining, replayed } = signed;
    const meta = { ...metaOf(this.asked.params), [PAYMENT]: decodeJson(header.value) };
    const again = { ...this.asked, params: { ...this.asked.params, _meta: meta } };
    let answer: Answer;
    try {
      answer = await answerOf(this.send, again, this.rest);
    } catch (cause) {
      signal?.throwIfAborted();
      throw new PaymentOutcomeUnknown(
        'the paid call got no result; repeat the same call to continue with the same payment',
        { payment, key, cause },
      );
    }
    const { result } = answer;
    const receipt = asObject(metaOf(result)[RECEIPT]);
    const saysItWasPaid = receipt?.success === true;
    if (receipt) this.#handIn(payment, receipt);
    if (answer.terms) throw await this.#notDelivered(saysItWasPaid, payment, key);
    // A tool that failed has taken nothing, unless it says so: the same call continues the purchase.
    if (result?.isError !== true || saysItWasPaid) this.purchases.end(purchase);
    const { id, amount, currency } = payment;
    if (result) paid.set(result, { id, key, amount, currency, remaining, replayed, receipt });
    return answer.settle();
  }

  /** The error for a server that asks to be paid although it was sent the payment. */
  async #notDelivered(saysItWasPaid: boolean, signed: Payment, key: string): Promise<BursarError> {
    const payment = await this.bursar.payments.get(signed.id).catch(() => signed);
    if (saysItWasPaid || payment.status === 'settled' || payment.seen) {
      return new PaidNotDelivered('the server was paid and asks again', { payment, key });
    }
    return new PaymentOutcomeUnknown(
      'the server asks again and has not taken the payment yet; repeat the same call to continue with it',
      { payment, key },
    );
  }

  /** A hint for Bursar, which asks the chain: nothing waits for it. */
  #handIn({ id }: Payment, receipt: Record<string, unknown>): void {
    const text = base64url(utf8(JSON.stringify(receipt)));
    void this.bursar.payments.receipt(id, text).catch(() => {});
  }
}

interface Answer {
  /** The x402 terms, where the server asks to be paid. */
  readonly terms: Record<string, unknown> | undefined;
  readonly result: Record<string, unknown> | undefined;
  /** Returns the result, or throws the server's error. */
  settle(): unknown;
}

/**
 * The answer of a call: a result with `isError` whose structured content (or only text) is x402 terms, or a JSON-RPC
 * error whose data is, asks to be paid.
 */
async function answerOf(send: Send, asked: Request, rest: unknown[]): Promise<Answer> {
  try {
    const result = asObject(await send(asked, ...rest));
    const terms = result?.isError === true ? termsOf(result) : undefined;
    return { terms, result, settle: () => result };
  } catch (error) {
    const { code, data } = error as { code?: unknown; data?: unknown };
    const isAnswer = typeof code === 'number' && data !== undefined;
    const terms = isAnswer ? termsIn(data) : undefined;
    if (!terms) throw error;
    return {
      terms,
      result: asObject(data),
      settle: () => {
        throw error;
      },
    };
  }
}

function termsOf({ structuredContent, content }: Record<string, unknown>) {
  const found = termsIn(structuredContent);
  if (found) return found;
  const [only, ...more] = Array.isArray(content) ? content : [];
  const text = asObject(only)?.text;
  if (more.length > 0 || typeof text !== 'string') return undefined;
  try {
    return termsIn(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function termsIn(value: unknown): Record<string, unknown> | undefined {
  const terms = asObject(value);
  return terms && 'x402Version' in terms && Array.isArray(terms.accepts) ? terms : undefined;
}

function metaOf(holder: Record<string, unknown> | undefined): Record<string, unknown> {
  return asObject(holder?._meta) ?? {};
}

function signalOf(rest: readonly unknown[]): AbortSignal | undefined {
  for (const each of rest) {
    const signal = asObject(each)?.signal;
    if (signal instanceof AbortSignal) return signal;
  }
  return undefined;
}

/** The URL of the server that is asked: it is what the grant's scope is held against. */
function urlOf({ transport }: McpClient, { url }: McpPaymentOptions): string {
  // The transports of the SDK keep it in `_url`.
  const { _url: own } = (transport ?? {}) as { _url?: unknown };
  const found = url ?? (own instanceof URL ? own : undefined);
  if (found !== undefined) return String(found);
  const detail = "this transport has no URL; give withBursar(client, bursar, { url }) the server's";
  throw new BursarError('invalid_input', detail, { nextAction: 'fix_request' });
}
