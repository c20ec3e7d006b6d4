import { type Address, getAddress, type Hex, isAddress } from 'viem';
import { z } from 'zod';

/**
 * Texts of EVM chains, checked by their shape. viem's own address functions keep the last thousands of texts they were
 * asked about, of any length: a stranger's text may reach them only through here (biome.json forbids them elsewhere).
 */
const ADDRESS = /^0x[0-9a-fA-F]{40}$/;

/** An address in its EIP-55 form; undefined for what is none, or has letters of both cases and another checksum. */
export function parseAddress(text: unknown): Address | undefined {
  return isAddressShaped(text) && isAddress(text) ? getAddress(text) : undefined;
}

/** An address in a stranger's input, read by {@link parseAddress}. @param message - completes "it ...". */
export function addressSchema(message: string) {
  return z
    .string()
    .max(42, message)
    .transform((text, context): Address => {
      const address = parseAddress(text);
      if (address !== undefined) return address;
      context.addIssue(message);
      return z.NEVER;
    });
}

/** Whether two texts are the same address, whatever the case of their letters. */
export function isSameAddress(a: string, b: string): boolean {
  return isAddressShaped(a) && isAddressShaped(b) && a.toLowerCase() === b.toLowerCase();
}

/** Whether a text is `0x` and so many bytes in hex. */
export function isHexOf(text: unknown, bytes: number): text is Hex {
  return typeof text === 'string' && text.length === 2 + 2 * bytes && /^0x[0-9a-fA-F]*$/.test(text);
}

function isAddressShaped(text: unknown): text is Address {
  return typeof text === 'string' && ADDRESS.test(text);
}
