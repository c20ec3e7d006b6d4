import { concatHex, type Hex, numberToHex, pad, parseAbi, size, stringToHex } from 'viem';
import artifact from './TestUsdc.json' with { type: 'json' };

/**
 * Part of TestUsdc.sol that callers use, typed for viem. The compiler's own, complete ABI is in
 * TestUsdc.json; JSON gives TypeScript no literal types, so the signatures stand here again, and
 * test/sandbox.e2e-spec.ts checks that the compiled contract has each of them.
 *
 * Values are atomic units, times are Unix seconds and exclusive at both ends.
 * Sources: EIP-20, EIP-712, EIP-3009; the `bytes` overloads are those of USDC 2.2.
 */
export const testUsdcAbi = parseAbi([
  'function name() view returns (string)',
  'function symbol() view returns (string)',
  'function version() view returns (string)',
  'function decimals() view returns (uint8)',
  'function totalSupply() view returns (uint256)',
  'function balanceOf(address owner) view returns (uint256)',
  'function allowance(address owner, address spender) view returns (uint256)',
  'function transfer(address to, uint256 value) returns (bool)',
  'function approve(address spender, uint256 value) returns (bool)',
  'function transferFrom(address from, address to, uint256 value) returns (bool)',
  'function mint(address to, uint256 value)',
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  'function authorizationState(address authorizer, bytes32 nonce) view returns (bool)',
  'function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)',
  'function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, bytes signature)',
  'function receiveWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)',
  'function receiveWithAuthorization(address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce, bytes signature)',
  'function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)',
  'function cancelAuthorization(address authorizer, bytes32 nonce, bytes signature)',
  'event Transfer(address indexed from, address indexed to, uint256 value)',
  'event Approval(address indexed owner, address indexed spender, uint256 value)',
  'event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)',
  'event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce)',
]);

/**
 * TestUsdc's runtime bytecode: what `eth_getCode` answers, and what `anvil_setCode` takes. There is
 * no constructor to run and there are no immutables to fill. {@link testTokenStorage} makes it a token.
 */
export const testUsdcBytecode = artifact.deployedBytecode as Hex;

/** Name and version of a token on TestUsdc's code. */
export interface TestToken {
  readonly symbol: string;
  /** EIP-712 domain `name` and `version`. */
  readonly name: string;
  readonly version: string;
  readonly decimals: number;
}

/** The longest string that Solidity keeps in the string's own slot, in bytes. */
const SHORT_STRING_BYTES = 31;

/**
 * The storage of a token, slot by slot, for `anvil_setStorageAt`.
 *
 * @throws RangeError for a text of more than 31 bytes, which takes more than one slot.
 */
export function testTokenStorage(token: TestToken): { index: Hex; value: Hex }[] {
  const values = [
    shortString(token.name),
    shortString(token.symbol),
    shortString(token.version),
    numberToHex(token.decimals, { size: 32 }),
  ];
  return values.map((value, place) => ({ index: numberToHex(4 + place, { size: 32 }), value }));
}

/** Solidity's layout of a short string: the bytes from the left, and twice their number in the last byte. */
function shortString(text: string): Hex {
  const bytes = stringToHex(text);
  if (size(bytes) > SHORT_STRING_BYTES) {
    throw new RangeError(`"${text}" is longer than ${SHORT_STRING_BYTES} bytes`);
  }
  const left = pad(bytes, { dir: 'right', size: SHORT_STRING_BYTES });
  return concatHex([left, numberToHex(2 * size(bytes), { size: 1 })]);
}

/** TestUsdc's complete ABI as the compiler gave it, untyped. */
export const testUsdcCompiledAbi: readonly unknown[] = artifact.abi;
