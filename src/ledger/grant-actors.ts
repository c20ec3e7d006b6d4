import type { ClientBase } from 'pg';

/**
 * Everybody who was ever handed a token of a grant, or raised something for it, as events name actors.
 *
 * @throws Error when they were not read: every grant has at least its minter.
 */
export type ActorsOf = (grantId: string) => readonly string[];

/**
 * Notes that somebody is handed a token of a grant, or raises something for it, in the transaction that does it.
 * It needs the lock of the grant: an approval decides under the same.
 *
 * @param at - the database's time.
 */
export async function noteActor(
  tx: ClientBase,
  { treasuryId, id }: { readonly treasuryId: string; readonly id: string },
  actor: string,
  at: Date,
): Promise<void> {
  await tx.query(
    `INSERT INTO grant_actors (treasury_id, grant_id, actor, since) VALUES ($1, $2, $3, $4)
     ON CONFLICT DO NOTHING`,
    [treasuryId, id, actor, at],
  );
}

/** Reads the actors of grants that are locked. Without grants it costs nothing. */
export async function readActors(
  tx: ClientBase,
  treasuryId: string,
  grantIds: readonly string[],
): Promise<ActorsOf> {
  const known = new Map<string, string[]>();
  if (grantIds.length > 0) {
    const { rows } = await tx.query<{ grant_id: string; actors: string[] }>(
      `SELECT grant_id, array_agg(actor) AS actors FROM grant_actors
       WHERE treasury_id = $1 AND grant_id = ANY ($2::text[]) GROUP BY grant_id`,
      [treasuryId, grantIds],
    );
    for (const { grant_id, actors } of rows) known.set(grant_id, actors);
  }
  return (grantId) => {
    const actors = known.get(grantId);
    if (!actors) throw new Error(`nobody is known to have acted on grant ${grantId}`);
    return actors;
  };
}
