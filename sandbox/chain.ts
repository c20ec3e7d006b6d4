import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { getDefaultAsset } from '@x402/evm';
import {
  type Address,
  createTestClient,
  defineChain,
  getAddress,
  type Hex,
  http,
  publicActions,
  type TestActions,
  toHex,
  walletActions,
} from 'viem';
import { mnemonicToAccount, privateKeyToAccount } from 'viem/accounts';
import { baseSepolia } from 'viem/chains';
import {
  type TestToken,
  testTokenStorage,
  testUsdcAbi,
  testUsdcBytecode,
} from './contract/testUsdc.js';

/**
 * Base Sepolia's id and CAIP-2 name. A real network's, because x402 sellers turn a price such as
 * `$0.01` into an amount only on networks they know, and v1 knows networks by name alone.
 */
const CHAIN_ID = baseSepolia.id;
const NETWORK = `eip155:${CHAIN_ID}` as const;

/** The tokens beside USDC: one of another currency, and one of another number of decimals. */
const FURTHER_TOKENS: readonly ChainToken[] = [
  {
    address: getAddress('0xe0c0000000000000000000000000000000000006'),
    symbol: 'EURC',
    name: 'EURC',
    version: '2',
    decimals: 6,
  },
  {
    address: getAddress('0x7d18000000000000000000000000000000000018'),
    symbol: 'TUSD18',
    name: 'Test USD 18',
    version: '1',
    decimals: 18,
  },
];

/** The phrase anvil itself derives its accounts from. Public: test keys, never worth anything. */
const DEV_MNEMONIC = 'test test test test test test test test test test test junk';
const DEV_ACCOUNT_COUNT = 10;

const BLOCK_TIME_SECONDS = 1;
const SLOTS_IN_AN_EPOCH = 32;
/** Deepest reorg: anvil cannot undo a block whose parent's state it has forgotten. */
const REORG_DEPTH_BLOCKS = 64;
const HISTORY_SLACK_BLOCKS = 16;

/** anvil is up in about 0.1 s; the rest is for a machine under load. */
const START_DEADLINE_MS = 20_000;
const STOP_DEADLINE_MS = 3_000;
const POLL_INTERVAL_MS = 50;

const require = createRequire(import.meta.url);

/** Options of {@link startChain}. */
export interface ChainOptions {
  /** Where to listen on 127.0.0.1. Default 0: a free port. */
  readonly port?: number;
  /**
   * Seconds between blocks, 1 by default; fractions work. `'automine'` makes a block for every
   * transaction and none otherwise.
   */
  readonly blockTimeSeconds?: number | 'automine';
  /**
   * anvil answers the tag `safe` with head - this, and `finalized` with head - twice this.
   * Default 32, anvil's own; 1 makes a block final two blocks later.
   */
  readonly slotsInAnEpoch?: number;
  /** The anvil binary. Default: the one of the npm package `@foundry-rs/anvil`. */
  readonly anvilPath?: string;
}

/** A key of anvil's public test phrase. */
export interface DevAccount {
  readonly address: Address;
  readonly privateKey: Hex;
}

/** A token of the chain: EIP-20 with EIP-3009. */
export interface ChainToken extends TestToken {
  readonly address: Address;
}

/** A running local chain. All amounts of tokens are atomic units. */
export interface Chain {
  /** `http://127.0.0.1:<port>` */
  readonly rpcUrl: string;
  /** 84532 */
  readonly chainId: number;
  /** CAIP-2. v1 of x402 calls it `base-sepolia`. */
  readonly network: typeof NETWORK;
  /** anvil's process, for tests that pause or kill it. */
  readonly pid: number;
  /** The test USDC: 6 decimals. */
  readonly token: ChainToken;
  /** All tokens: the test USDC, then EURC (6 decimals), then TUSD18 (18 decimals). */
  readonly tokens: readonly ChainToken[];
  /** Nine accounts with 10,000 ETH and no token each. anvil's tenth sends {@link mint}. */
  readonly accounts: readonly DevAccount[];
  /**
   * Mints a token and waits for the block that holds it. Safe to call concurrently.
   *
   * @throws viem's errors when the chain cannot be reached or the mint reverts
   */
  mint(token: Address, to: Address, atomic: bigint): Promise<void>;
  /** {@link mint}s in a block that is made for them, instead of the next one. */
  mintAtOnce(
    mints: readonly { readonly token: Address; readonly to: Address; readonly atomic: bigint }[],
  ): Promise<void>;
  /** {@link mint} of the test USDC. */
  mintUsdc(to: Address, atomic: bigint): Promise<void>;
  /** Sets what an account has for gas, in wei. */
  setEther(address: Address, wei: bigint): Promise<void>;
  /** @returns an owner's balance of a token at the newest block, in atomic units */
  balanceOf(token: Address, owner: Address): Promise<bigint>;
  /** {@link balanceOf} of the test USDC. */
  usdcBalance(address: Address): Promise<bigint>;
  /** Adds blocks now. The chain's clock is not moved: they carry the current second. */
  mineBlocks(count: number): Promise<void>;
  /** No more blocks until {@link resumeMining}, except by {@link mineBlocks}: all stays pending. */
  pauseMining(): Promise<void>;
  resumeMining(): Promise<void>;
  /** Ends anvil and awaits its exit. Calling it again gives the same promise. */
  stop(): Promise<void>;
}

/**
 * Starts a local chain: anvil as a child process, with TestUsdc at the address that USDC has on
 * Base Sepolia, two more tokens at made-up addresses, and Multicall3 at its usual one (without it, x402
 * facilitators cannot say why they refuse a payment).
 *
 * All are part of block 0, so a reader at the tag `finalized` sees them from the start.
 * The child ends with this process, also when this process is killed.
 *
 * @throws Error with one line saying why anvil is not up: no binary for this machine, the port is
 * taken, it exited, or it did not answer within 20 s
 * @throws RangeError when blockTimeSeconds is not above 0
 */
export async function startChain(options: ChainOptions = {}): Promise<Chain> {
  const blockTimeSeconds = options.blockTimeSeconds ?? BLOCK_TIME_SECONDS;
  if (blockTimeSeconds !== 'automine' && !(blockTimeSeconds > 0)) {
    throw new RangeError(`blockTimeSeconds must be above 0 or 'automine', not ${blockTimeSeconds}`);
  }
  const slotsInAnEpoch = options.slotsInAnEpoch ?? SLOTS_IN_AN_EPOCH;
  const anvil = await launchAnvil(options.anvilPath ?? locateAnvil(), [
    ...['--host', '127.0.0.1'],
    ...['--port', String(options.port ?? 0)],
    ...['--chain-id', String(CHAIN_ID)],
    ...['--accounts', String(DEV_ACCOUNT_COUNT)],
    ...['--mnemonic', DEV_MNEMONIC],
    ...['--slots-in-an-epoch', String(slotsInAnEpoch)],
    ...historyArguments(slotsInAnEpoch),
    '--no-mining',
    '--no-cors',
  ]);
  try {
    return await prepareChain(anvil, blockTimeSeconds);
  } catch (error) {
    await anvil.stop();
    throw error;
  }
}

/**
 * Makes a queue: what is given to it runs one after the other, in order, whether or not the one
 * before failed.
 *
 * Needed by whoever sends transactions from one key. Neither anvil (which answers "nonce too low"
 * or "already imported") nor viem can number concurrent ones; viem's nonce manager could, but it
 * goes on counting after a reorg took transactions away, and all that follows hangs.
 */
export function createQueue(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const result = last.then(task);
    last = result.catch(() => undefined);
    return result;
  };
}

async function prepareChain(anvil: Anvil, blockTimeSeconds: number | 'automine'): Promise<Chain> {
  const rpcUrl = `http://127.0.0.1:${anvil.port}`;
  const client = createTestClient({
    mode: 'anvil',
    chain: defineChain({ ...baseSepolia, rpcUrls: { default: { http: [rpcUrl] } } }),
    // A node on this machine that does not answer is gone: say so at once.
    transport: http(rpcUrl, { retryCount: 0 }),
    pollingInterval: POLL_INTERVAL_MS,
  })
    .extend(publicActions)
    .extend(walletActions);

  const chainId = await client.getChainId();
  if (chainId !== CHAIN_ID) throw new Error(`anvil answers chain id ${chainId}, not ${CHAIN_ID}`);

  // setCode changes the newest block's state. Nothing is mined yet, so that is block 0's, and the
  // contracts are there for readers at `finalized` too; placed later, older blocks would lack them.
  const { asset, name, version, decimals } = getDefaultAsset(NETWORK);
  const token = { address: getAddress(asset), symbol: 'USDC', name, version, decimals };
  const tokens = [token, ...FURTHER_TOKENS];
  for (const { address, ...each } of tokens) {
    await client.setCode({ address, bytecode: testUsdcBytecode });
    for (const slot of testTokenStorage(each)) await client.setStorageAt({ address, ...slot });
  }
  // A call without an address runs constructor code and answers what it would have deployed.
  const multicall3 = await client.call({ data: multicall3CreationCode() });
  if (multicall3.data === undefined) throw new Error('Multicall3 has no code after construction');
  await client.setCode({
    address: baseSepolia.contracts.multicall3.address,
    bytecode: multicall3.data,
  });

  const accounts = deriveDevAccounts();
  const minter = accounts.pop();
  if (minter === undefined) throw new Error('anvil has no account to mint with');
  const inTurn = createQueue();
  const miner =
    blockTimeSeconds === 'automine'
      ? createAutominer(client)
      : createIntervalMiner(client, blockTimeSeconds * 1_000, anvil.exited);
  await miner.resume();

  const sendMint = (address: Address, to: Address, atomic: bigint): Promise<Hex> =>
    inTurn(() =>
      client.writeContract({
        account: privateKeyToAccount(minter.privateKey),
        address,
        abi: testUsdcAbi,
        functionName: 'mint',
        args: [to, atomic],
      }),
    );
  const minted = async (hash: Hex): Promise<void> => {
    const { status } = await client.waitForTransactionReceipt({ hash });
    if (status !== 'success') throw new Error(`the mint of ${hash} reverted`);
  };
  const mint = async (address: Address, to: Address, atomic: bigint): Promise<void> =>
    minted(await sendMint(address, to, atomic));
  const balanceOf = (address: Address, owner: Address): Promise<bigint> =>
    client.readContract({ address, abi: testUsdcAbi, functionName: 'balanceOf', args: [owner] });

  return {
    rpcUrl,
    chainId,
    network: NETWORK,
    pid: anvil.pid,
    token,
    tokens,
    accounts,
    mint,
    async mintAtOnce(mints) {
      const hashes = await Promise.all(
        mints.map(({ token: address, to, atomic }) => sendMint(address, to, atomic)),
      );
      await client.mine({ blocks: 1 });
      await Promise.all(hashes.map(minted));
    },
    mintUsdc: (to, atomic) => mint(token.address, to, atomic),
    setEther: (address, value) => client.setBalance({ address, value }),
    balanceOf,
    usdcBalance: (owner) => balanceOf(token.address, owner),
    mineBlocks: (count) => client.mine({ blocks: count }),
    pauseMining: miner.pause,
    resumeMining: miner.resume,
    stop: anvil.stop,
  };
}

// ---- Mining

interface Miner {
  pause(): Promise<void>;
  resume(): Promise<void>;
}

/**
 * Makes a block every so often, from here. anvil's own timer (--block-time) is not used because
 * with blocks up to 2 s apart it ignores --prune-history and keeps 1,500 states, each as long as
 * the chain: 620 MB after 2,400 blocks, against 76 MB, so a sandbox left alone fills the memory.
 */
function createIntervalMiner(
  client: Pick<TestActions, 'mine'>,
  intervalMs: number,
  anvilExited: Promise<void>,
): Miner {
  let timer: NodeJS.Timeout | undefined;
  let mining = Promise.resolve();
  const mine = (): void => {
    mining = client
      .mine({ blocks: 1 })
      // A pause of anvil's process is on purpose: blocks come again once it answers again.
      .catch(() => undefined)
      .then(() => void timer?.refresh());
  };
  const pause = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    return mining;
  };
  void anvilExited.then(pause);
  return {
    pause,
    async resume() {
      timer ??= setTimeout(mine, intervalMs);
    },
  };
}

/** anvil's own mode: a block a transaction. */
function createAutominer(client: Pick<TestActions, 'mine' | 'setAutomine'>): Miner {
  return {
    pause: () => client.setAutomine(false),
    async resume() {
      await client.setAutomine(true);
      // Mine the transactions of the pause: anvil would leave them until the next one.
      await client.mine({ blocks: 1 });
    },
  };
}

/** The accounts anvil gives ether to: m/44'/60'/0'/0/0 and following (BIP-44). */
function deriveDevAccounts(): DevAccount[] {
  // One derivation of the seed (slow on purpose), then cheap children of it.
  const parent = mnemonicToAccount(DEV_MNEMONIC, { path: "m/44'/60'/0'/0" }).getHdKey();
  return Array.from({ length: DEV_ACCOUNT_COUNT }, (_, index) => {
    const { privateKey } = parent.deriveChild(index);
    if (privateKey === null) throw new Error(`account ${index} has no private key`);
    const key = toHex(privateKey);
    return { address: privateKeyToAccount(key).address, privateKey: key };
  });
}

/** viem holds this constant but exports no path to it; an absolute path goes past `exports`. */
function multicall3CreationCode(): Hex {
  const constants = join(dirname(require.resolve('viem')), 'constants', 'contracts.js');
  return (require(constants) as { multicall3Bytecode: Hex }).multicall3Bytecode;
}

/**
 * Keeps as many states as readers at `finalized` and reorgs need, in memory only. Left to itself
 * anvil writes old states below ~/.foundry and leaves them there. More is not better: each state
 * it keeps grows with the chain's length (2,400 blocks: 76 MB with 80 states, 180 MB with 256).
 */
function historyArguments(slotsInAnEpoch: number): string[] {
  const statesKept = Math.max(2 * slotsInAnEpoch, REORG_DEPTH_BLOCKS) + HISTORY_SLACK_BLOCKS;
  // A reorg makes an (empty) cache folder all the same.
  const cachePath = join(tmpdir(), 'bursar-sandbox-anvil');
  return ['--prune-history', String(statesKept), '--cache-path', cachePath];
}

// ---- anvil, the process

interface Anvil {
  readonly port: number;
  readonly pid: number;
  /** Resolves once the process is gone, for whatever reason. */
  readonly exited: Promise<void>;
  stop(): Promise<void>;
}

/**
 * The native binary's path. Not the package's `bin`: that is a script which starts the binary as
 * its own child, so killing the script by its pid would leave the chain running.
 */
function locateAnvil(): string {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const platformPackage = `@foundry-rs/anvil-${process.platform}-${architecture}`;
  const binary = process.platform === 'win32' ? 'anvil.exe' : 'anvil';
  try {
    // The platform's package is a dependency of anvil's, not ours: look from there.
    const fromAnvil = createRequire(require.resolve('@foundry-rs/anvil/package.json'));
    return join(dirname(fromAnvil.resolve(`${platformPackage}/package.json`)), 'bin', binary);
  } catch (cause) {
    throw new Error(
      `anvil is not installed: no ${platformPackage} (npm ci, without --omit=optional)`,
      { cause },
    );
  }
}

async function launchAnvil(path: string, args: readonly string[]): Promise<Anvil> {
  const child = spawn(path, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own, so that Ctrl-C reaches only us and we stop it last, in order.
    detached: true,
    // None of our variables: they may hold secrets, and anvil would take options from some.
    env: {},
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });

  let port: number;
  try {
    port = await readListeningPort(child);
  } catch (error) {
    child.kill('SIGKILL');
    await exited;
    throw error;
  }
  // From here on nobody reads what it logs, but a full pipe would block it.
  child.stdout?.resume();
  child.stderr?.resume();

  const pid = child.pid as number;
  const unbind = bindToOurLife(child, pid);
  void exited.then(unbind);

  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await exited;
    clearTimeout(timer);
  };
  let stopping: Promise<void> | undefined;
  return {
    port,
    pid,
    exited,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/**
 * Awaits the line "Listening on 127.0.0.1:<port>", which anvil prints once its socket is bound.
 * Asking for port 0 and reading it here leaves no moment in which another process takes the port.
 */
function readListeningPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    const timer = setTimeout(() => {
      reject(new Error(`anvil did not start listening within ${START_DEADLINE_MS / 1000} s`));
    }, START_DEADLINE_MS);
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      child.stdout?.removeAllListeners('data');
      child.stderr?.removeAllListeners('data');
      act();
    };
    child.stdout?.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      const port = /^Listening on \S+:(\d+)$/m.exec(stdout)?.[1];
      if (port !== undefined) settle(() => resolve(Number(port)));
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.once('error', (cause) => {
      settle(() => reject(new Error(`anvil could not be started: ${cause.message}`, { cause })));
    });
    // 'close', not 'exit': only then is all of its stderr here.
    child.once('close', (code, signal) => {
      const reason = /^(?:error: )?(.+)/i.exec(stderr.trim())?.[1] ?? 'no message';
      settle(() => reject(new Error(`anvil exited (${code ?? signal}): ${reason}`)));
    });
  });
}

/**
 * Sees to it that the child does not outlive us. An 'exit' handler runs after an uncaught error but
 * not when a signal ends us, nor inside Jest (whose `process` is a copy). So a shell stands by as
 * well: it reads a pipe that the OS closes when we are gone, whatever ended us, and kills the child.
 *
 * @returns undoes it
 */
function bindToOurLife(child: ChildProcess, pid: number): () => void {
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  if (process.platform === 'win32') return () => process.off('exit', kill);

  const guard = spawn('/bin/sh', ['-c', 'read -r _; kill -9 "$0"', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    env: {},
  });
  // Without /bin/sh there remains the handler.
  guard.once('error', () => undefined);
  // Neither may keep us running once all else is done.
  guard.unref();
  (guard.stdin as Socket).unref();
  return () => {
    process.off('exit', kill);
    guard.kill('SIGKILL');
  };
}
