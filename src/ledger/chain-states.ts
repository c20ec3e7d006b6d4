import type { Pool } from 'pg';

/** Why the last reading of a network was not complete; each member is undefined where it was. */
export interface ChainState {
  /** Its RPCs contradict each other or what was read before: no payments, and nothing ends. */
  readonly contradiction: string | undefined;
  /** Not every configured RPC can be read: payments go on, and nothing ends. */
  readonly quorum: string | undefined;
  /** Its wallets could not be looked at for code (EIP-7702). */
  readonly code: string | undefined;
}

interface StateRow {
  network: string;
  contradiction: string | null;
  quorum: string | null;
  code: string | null;
}

/** Notes how the last reading of a network went. Writes only what has changed. */
export async function writeChainState(
  pool: Pool,
  network: string,
  { contradiction, quorum, code }: ChainState,
): Promise<void> {
  const values = [contradiction, quorum, code].map((reason) => reason?.slice(0, 500) ?? null);
  const { rowCount } = await pool.query(
    `SELECT 1 FROM chain_states WHERE network = $1
       AND (contradiction, quorum, code) IS NOT DISTINCT FROM ($2::text, $3::text, $4::text)`,
    [network, ...values],
  );
  if (rowCount === 1) return;
  await pool.query(
    `INSERT INTO chain_states (network, contradiction, quorum, code) VALUES ($1, $2, $3, $4)
     ON CONFLICT (network) DO UPDATE SET contradiction = excluded.contradiction,
       quorum = excluded.quorum, code = excluded.code, updated_at = now()`,
    [network, ...values],
  );
}

/** How the last reading of each network went, by network. */
export async function readChainStates(pool: Pool): Promise<Map<string, ChainState>> {
  const { rows } = await pool.query<StateRow>(
    'SELECT network, contradiction, quorum, code FROM chain_states',
  );
  return new Map(
    rows.map(({ network, contradiction, quorum, code }) => [
      network,
      {
        contradiction: contradiction ?? undefined,
        quorum: quorum ?? undefined,
        code: code ?? undefined,
      },
    ]),
  );
}
