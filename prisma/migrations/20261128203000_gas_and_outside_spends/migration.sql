-- Gas is a resource with bounds (docs/adr/0055-gas-is-bounded.md): the cancellations of the last day are counted.
CREATE INDEX "cancellations_treasury_id_requested_at_idx" ON "cancellations"("treasury_id", "requested_at");

-- Whether a treasury pays amounts of 0: they move nothing, and each leaves a payment, events and a signature.
ALTER TABLE "treasuries" ADD COLUMN "zero_payments" BOOLEAN NOT NULL DEFAULT true;

-- At least until when a key without a payment makes none, because the database may have lost its payment
-- (docs/adr/0057-fence-after-a-restore.md).
ALTER TABLE "treasuries" ADD COLUMN "fenced_until" TIMESTAMPTZ(3);

-- Spends of a treasury's wallets that no payment stands for (docs/adr/0056-outside-spends.md): from the first
-- sight on, until a final block does not show it, or an admin explains it.
CREATE TABLE "outside_spends" (
  "treasury_id" TEXT NOT NULL,
  "network" TEXT NOT NULL,
  "transaction" TEXT NOT NULL,
  "asset" TEXT NOT NULL,
  "place" INTEGER NOT NULL,
  "wallet_id" TEXT NOT NULL,
  "nonce" TEXT,
  "pay_to" TEXT,
  "amount" DECIMAL(78,0) NOT NULL,
  "block_number" BIGINT NOT NULL,
  "status" TEXT NOT NULL DEFAULT 'seen',
  "seen_at" TIMESTAMPTZ(3) NOT NULL,
  "ended_at" TIMESTAMPTZ(3),
  "ended_by" TEXT,
  "reason" TEXT,
  "payment_id" TEXT,
  CONSTRAINT "outside_spends_pkey" PRIMARY KEY ("treasury_id", "network", "transaction", "asset", "place")
);
CREATE INDEX "outside_spends_treasury_id_wallet_id_status_idx" ON "outside_spends"("treasury_id", "wallet_id", "status");
CREATE INDEX "outside_spends_network_status_idx" ON "outside_spends"("network", "status");
ALTER TABLE "outside_spends" ADD CONSTRAINT "outside_spends_treasury_id_wallet_id_fkey" FOREIGN KEY ("treasury_id", "wallet_id") REFERENCES "wallets"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;
ALTER TABLE "outside_spends" ADD CONSTRAINT "outside_spends_treasury_id_payment_id_fkey" FOREIGN KEY ("treasury_id", "payment_id") REFERENCES "payments"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;
ALTER TABLE "outside_spends" ADD CONSTRAINT "outside_spends_terms" CHECK (
  "amount" >= 0 AND "place" >= 0 AND "block_number" >= 0
  AND "transaction" ~ '^0x[0-9a-f]{64}$' AND "nonce" ~ '^0x[0-9a-f]{64}$'
);
-- seen: in a block that is not final. final: in one that is. Both hold the wallet. adopted: explained by an admin.
-- withdrawn: the final blocks do not have it.
ALTER TABLE "outside_spends" ADD CONSTRAINT "outside_spends_status" CHECK (
  "status" IN ('seen', 'final', 'adopted', 'withdrawn')
  AND ("status" IN ('seen', 'final')) = ("ended_at" IS NULL)
  AND ("status" = 'adopted') = ("ended_by" IS NOT NULL)
  AND ("status" = 'adopted') = ("reason" IS NOT NULL)
  AND ("payment_id" IS NULL OR "status" = 'adopted')
);
CREATE FUNCTION "outside_spends_fixed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'spend % of % is % and cannot change so', OLD."transaction", OLD."network", OLD."status" USING ERRCODE = 'restrict_violation';
END $$;
-- An explanation is for good, and only a spend of a final block gets one.
CREATE TRIGGER "outside_spends_forward" BEFORE UPDATE ON "outside_spends"
  FOR EACH ROW WHEN (
    OLD."status" = 'adopted'
    OR (NEW."status" = 'adopted' AND OLD."status" <> 'final')
    OR to_jsonb(OLD) - ARRAY['status', 'ended_at', 'ended_by', 'reason', 'payment_id', 'block_number', 'seen_at']
      <> to_jsonb(NEW) - ARRAY['status', 'ended_at', 'ended_by', 'reason', 'payment_id', 'block_number', 'seen_at']
  ) EXECUTE FUNCTION "outside_spends_fixed"();
CREATE TRIGGER "outside_spends_no_delete" BEFORE DELETE ON "outside_spends"
  FOR EACH ROW EXECUTE FUNCTION "outside_spends_fixed"();
CREATE TRIGGER "outside_spends_no_truncate" BEFORE TRUNCATE ON "outside_spends"
  FOR EACH STATEMENT EXECUTE FUNCTION "never_truncated"();

-- Since when a wallet is held because of such a spend. It stands in the row that a reservation locks, so that a
-- reservation that waited for the lock sees it as it was committed; every row of one wallet has the same value.
ALTER TABLE "wallet_balances" ADD COLUMN "held_since" TIMESTAMPTZ(3);

SELECT "keep_treasuries_apart"();
