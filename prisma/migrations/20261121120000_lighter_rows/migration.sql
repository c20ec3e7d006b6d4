-- What every payment pays for, and needs not.

-- A payment's grant is of the same treasury by its own key, and that grant's treasury exists by the grant's.
ALTER TABLE "payments" DROP CONSTRAINT "payments_treasury_id_fkey";

-- The same nonces as before, without a regular expression for each: 64 lower-case hex digits behind 0x.
ALTER TABLE "payments" DROP CONSTRAINT "payments_terms";
ALTER TABLE "payments" ADD CONSTRAINT "payments_terms" CHECK (
  "amount" >= 0 AND "valid_after" >= 0 AND "valid_before" > "valid_after"
  AND "nonce" LIKE '0x%' AND length("nonce") = 66 AND ltrim(substr("nonce", 3), '0123456789abcdef') = ''
);

-- An event has no place in the log when it is written: only places need to be unlike.
DROP INDEX "events_treasury_id_leaf_index_key";
CREATE UNIQUE INDEX "events_treasury_id_leaf_index_key" ON "events"("treasury_id", "leaf_index")
  WHERE (leaf_index IS NOT NULL);

-- Minted without a key, a grant is no part of this index. Holding all of them by their treasury, and being
-- smaller than the primary key, it was taken for that while Postgres knew nothing of the table's contents.
DROP INDEX "grants_treasury_id_minted_by_mint_key_key";
CREATE UNIQUE INDEX "grants_treasury_id_minted_by_mint_key_key" ON "grants"("treasury_id", "minted_by", "mint_key")
  WHERE (mint_key IS NOT NULL);

-- The same columns, the nonce first: it alone tells payments apart, and what a block's logs name is found by it.
DROP INDEX "payments_network_asset_payer_nonce_key";
CREATE UNIQUE INDEX "payments_nonce_payer_asset_network_key" ON "payments"("nonce", "payer", "asset", "network");
