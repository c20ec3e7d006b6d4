import { existsSync } from 'node:fs';
import { environmentSchema } from './environment.js';

/** Variables that others read: clients, tests, the benchmark and the fault runner. */
const OF_OTHERS =
  /^BURSAR_(URL|TOKEN|(TEST|FUZZ|BENCH|FAULTS|AUDIT|CRASH|RACE|CLIENTS|RECONCILE|MODEL|REORG|SEAL|INTERLEAVINGS)(_.+)?)$/;

/** Variables that Kubernetes sets for a Service named bursar, or bursar-something. */
const OF_KUBERNETES =
  /^BURSAR(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;

/** Refuses a variable that nothing reads: a misspelt security switch must not leave it off. */
export function unknownVariables(given: Readonly<Record<string, string | undefined>>): string[] {
  const known = Object.keys(environmentSchema.shape);
  return Object.entries(given)
    .filter(([name]) => /^bursar_/i.test(name) && !known.includes(name))
    .filter(([name]) => !OF_OTHERS.test(name) && !OF_KUBERNETES.test(name))
    .filter(([name, value]) => !(name.endsWith('_PORT') && /^(tcp|udp|sctp):/.test(value ?? '')))
    .map(([name]) => `${name}: is not known; did you mean ${nearest(name.toUpperCase(), known)}?`);
}

/** The name with the smallest edit distance (Levenshtein). */
function nearest(name: string, names: readonly string[]): string {
  const far = names.map((other) => ({ other, distance: editDistance(name, other) }));
  return far.reduce((best, each) => (each.distance < best.distance ? each : best)).other;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The wallets' keys come from one place, and every process of a database must have the same. */
export function walletProblems(given: Readonly<Record<string, string | undefined>>): string[] {
  const sources = ['BURSAR_WALLET_MNEMONIC', 'BURSAR_KEYSTORE', 'BURSAR_SIGNER_SOCKET'].filter(
    (name) => name in given,
  );
  if (sources.length > 1) {
    return [`${sources[1]}: the wallets come from ${sources[0]} already; set one of the two`];
  }
  const problems: string[] = [];
  if (given.DATABASE_URL && sources.length === 0) {
    problems.push(
      'BURSAR_WALLET_MNEMONIC: is required with DATABASE_URL, so that every process signs with the same ' +
        'wallets; give the BIP-39 phrase of the treasury, or BURSAR_KEYSTORE, or BURSAR_SIGNER_SOCKET',
    );
  }
  if (given.BURSAR_KEYSTORE && !given.BURSAR_KEYSTORE_PASSWORD) {
    problems.push(
      'BURSAR_KEYSTORE_PASSWORD: is required with BURSAR_KEYSTORE; give what opens the keystores',
    );
  }
  if (given.BURSAR_KEYSTORE && !existsSync(given.BURSAR_KEYSTORE)) {
    problems.push(
      `BURSAR_KEYSTORE: nothing is at "${given.BURSAR_KEYSTORE}"; make keystores with: npx bursar wallets new --dir PATH`,
    );
  }
  return problems;
}
