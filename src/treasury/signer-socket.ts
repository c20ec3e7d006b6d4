import { chmod, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Hex } from 'viem';
import { z } from 'zod';
import { addressSchema, isHexOf } from '../evm.js';
import type { SignableTypedData, Signer, SignerWallets, TreasuryKeys } from './signer.js';
import type { SignerRules } from './signer-rules.js';

/** How long the signer's process may take to answer, in milliseconds. Opening keystores takes its time. */
const ANSWER_TIMEOUT_MS = 60_000;

/** The longest request there is, in characters. Whoever sends more is no client of this. */
const MAX_LINE = 49_152;

const address = addressSchema('must be a checksummed address');
const uint = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,77})$/, 'must be a decimal number')
  .transform(BigInt);
const bytes32 = z.custom<Hex>((text) => isHexOf(text, 32), 'must be 32 bytes, hex');

/** The requests there are. */
const requestSchema = z.discriminatedUnion('method', [
  z.strictObject({
    id: z.int(),
    method: z.literal('wallets'),
    treasury: z.strictObject({
      position: z.int().min(0).max(1_000_000),
      name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
    }),
  }),
  z.strictObject({
    id: z.int(),
    method: z.literal('sign'),
    address,
    chainId: z.int().positive(),
    token: address,
    decision: z.string().max(MAX_LINE).optional(),
    data: z.discriminatedUnion('primaryType', [
      z.strictObject({
        primaryType: z.literal('TransferWithAuthorization'),
        message: z.strictObject({
          from: address,
          to: address,
          value: uint,
          validAfter: uint,
          validBefore: uint,
          nonce: bytes32,
        }),
      }),
      z.strictObject({
        primaryType: z.literal('CancelAuthorization'),
        message: z.strictObject({ authorizer: address, nonce: bytes32 }),
      }),
    ]),
  }),
]);

/**
 * Serves a signer over a Unix socket that only its owner may use: one JSON object a line, each answered
 * by `{ id, result }` or `{ id, error }`. What the rules do not allow is refused, whoever asks.
 *
 * @throws Error when another signer serves the path.
 */
export async function serveSigner(
  signer: Signer,
  path: string,
  rules: SignerRules,
): Promise<{ close(): Promise<void> }> {
  if (await answersAt(path)) throw new Error(`another signer already listens on ${path}`);
  await rm(path, { force: true });
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    onLines(socket, async (line) => {
      const answer = await answerTo(signer, rules, line);
      if (!socket.destroyed) socket.write(`${JSON.stringify(answer)}\n`);
    });
  });
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } finally {
    process.umask(mask);
  }
  await chmod(path, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

async function answerTo(signer: Signer, rules: SignerRules, line: string) {
  let id: unknown = null;
  try {
    const value = JSON.parse(line);
    id = typeof value?.id === 'number' ? value.id : null;
    const parsed = requestSchema.safeParse(value);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw new Error(`${issue?.path.join('.') || 'request'}: ${issue?.message}`);
    }
    const request = parsed.data;
    if (request.method === 'wallets') return { id, result: await signer.wallets(request.treasury) };
    return { id, result: await signer.sign(request.address, rules.check(request)) };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

interface PendingAnswer {
  resolve(result: unknown): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

/** A signer in another process, behind the socket that {@link serveSigner} made: no key is here. */
export class SocketSigner implements Signer {
  #socket: Promise<Socket> | undefined;
  #lastId = 0;
  readonly #waiting = new Map<number, PendingAnswer>();
  /** The treasuries whose wallets were asked for, by position. */
  readonly #treasuries = new Map<number, TreasuryKeys>();

  constructor(private readonly path: string) {}

  async wallets({ position, name }: TreasuryKeys): Promise<SignerWallets> {
    const treasury = { position, name };
    this.#treasuries.set(position, treasury);
    return (await this.ask({ method: 'wallets', treasury })) as SignerWallets;
  }

  async sign(
    wallet: string,
    { domain, primaryType, message }: SignableTypedData,
    decision?: string,
  ): Promise<Hex> {
    return (await this.ask({
      method: 'sign',
      address: wallet,
      chainId: domain.chainId,
      token: domain.verifyingContract,
      decision,
      data: { primaryType, message },
    })) as Hex;
  }

  /** Lets go of the socket; what waits is rejected. */
  close(): void {
    void this.#socket?.then(
      (socket) => socket.destroy(),
      () => undefined,
    );
  }

  private async ask(request: object): Promise<unknown> {
    this.#socket ??= this.open();
    const socket = await this.#socket;
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`the signer at ${this.path} did not answer`));
      }, ANSWER_TIMEOUT_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      const line = JSON.stringify({ id, ...request }, (_, value) =>
        typeof value === 'bigint' ? value.toString() : value,
      );
      socket.write(`${line}\n`);
    });
  }

  private open(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.path);
      const lost = (reason: string) => {
        const error = new Error(
          `BURSAR_SIGNER_SOCKET: the signer at ${this.path} is not there (${reason}); start it with: npx bursar signer`,
        );
        this.#socket = undefined;
        reject(error);
        for (const { reject: fail, timer } of this.#waiting.values()) {
          clearTimeout(timer);
          fail(error);
        }
        this.#waiting.clear();
      };
      socket.unref();
      socket.once('connect', () => {
        // A signer that was started anew has no keys before it is asked for their wallets. Nobody waits for the answers.
        for (const treasury of this.#treasuries.values()) {
          socket.write(`${JSON.stringify({ id: 0, method: 'wallets', treasury })}\n`);
        }
        resolve(socket);
      });
      socket.on('error', (error: NodeJS.ErrnoException) => lost(error.code ?? error.message));
      socket.on('close', () => lost('it closed the connection'));
      onLines(socket, async (line) => this.answered(line));
    });
  }

  private answered(line: string): void {
    const answer = JSON.parse(line) as { id: number; result?: unknown; error?: string };
    const waiting = this.#waiting.get(answer.id);
    if (!waiting) return;
    this.#waiting.delete(answer.id);
    clearTimeout(waiting.timer);
    if (answer.error === undefined) waiting.resolve(answer.result);
    else waiting.reject(new Error(`the signer refused: ${answer.error}`));
  }
}

/** Calls back for each line; a peer that sends endless ones is cut off. */
function onLines(socket: Socket, onLine: (line: string) => Promise<void>): void {
  let sinceLine = 0;
  socket.on('data', (chunk: Buffer) => {
    const end = chunk.lastIndexOf(10);
    sinceLine = end < 0 ? sinceLine + chunk.length : chunk.length - end;
    if (sinceLine > MAX_LINE) socket.destroy();
  });
  createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY })
    .on('line', (line) => void onLine(line).catch(() => socket.destroy()))
    .on('error', () => socket.destroy());
}

function answersAt(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
