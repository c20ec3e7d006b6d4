-- Treasury and settlement: treasuries have a place in the key tree, chains a short memory of the blocks
-- read, payments provisional sightings and requests to cancel, the gas account one record a nonce.

-- AlterTable
ALTER TABLE "treasuries" ADD COLUMN "position" SERIAL NOT NULL;

-- AlterTable
ALTER TABLE "chain_cursors" ADD COLUMN "head_number" BIGINT,
ADD COLUMN "head_hash" TEXT,
ADD COLUMN "head_time" BIGINT;

-- CreateTable
CREATE TABLE "chain_blocks" (
    "network" TEXT NOT NULL,
    "number" BIGINT NOT NULL,
    "hash" TEXT NOT NULL,
    "time" BIGINT NOT NULL,

    CONSTRAINT "chain_blocks_pkey" PRIMARY KEY ("network","number")
);

-- CreateTable
CREATE TABLE "sightings" (
    "treasury_id" TEXT NOT NULL,
    "payment_id" TEXT NOT NULL,
    "network" TEXT NOT NULL,
    "transaction" TEXT NOT NULL,
    "block_number" BIGINT NOT NULL,

    CONSTRAINT "sightings_pkey" PRIMARY KEY ("treasury_id","payment_id")
);

-- CreateTable
CREATE TABLE "cancellations" (
    "treasury_id" TEXT NOT NULL,
    "payment_id" TEXT NOT NULL,
    "network" TEXT NOT NULL,
    "requested_by" TEXT NOT NULL,
    "requested_at" TIMESTAMPTZ(3) NOT NULL,
    "is_over" BOOLEAN NOT NULL DEFAULT false,

    CONSTRAINT "cancellations_pkey" PRIMARY KEY ("treasury_id","payment_id")
);

-- CreateTable
CREATE TABLE "gas_transactions" (
    "network" TEXT NOT NULL,
    "sender" TEXT NOT NULL,
    "nonce" BIGINT NOT NULL,
    "treasury_id" TEXT NOT NULL,
    "payment_id" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'open',
    "is_void" BOOLEAN NOT NULL DEFAULT false,
    "gas_limit" BIGINT NOT NULL,
    "max_fee" DECIMAL(78,0) NOT NULL,
    "max_priority_fee" DECIMAL(78,0) NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 1,
    "hash" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "attempted_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "gas_transactions_pkey" PRIMARY KEY ("network","sender","nonce")
);

-- CreateIndex
CREATE UNIQUE INDEX "treasuries_position_key" ON "treasuries"("position");

-- CreateIndex
CREATE INDEX "sightings_network_idx" ON "sightings"("network");

-- CreateIndex
CREATE INDEX "cancellations_network_is_over_idx" ON "cancellations"("network", "is_over");

-- CreateIndex
CREATE INDEX "gas_transactions_network_sender_status_idx" ON "gas_transactions"("network", "sender", "status");

-- CreateIndex
CREATE INDEX "gas_transactions_treasury_id_payment_id_idx" ON "gas_transactions"("treasury_id", "payment_id");

-- AddForeignKey
ALTER TABLE "sightings" ADD CONSTRAINT "sightings_treasury_id_payment_id_fkey" FOREIGN KEY ("treasury_id", "payment_id") REFERENCES "payments"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "cancellations" ADD CONSTRAINT "cancellations_treasury_id_payment_id_fkey" FOREIGN KEY ("treasury_id", "payment_id") REFERENCES "payments"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "gas_transactions" ADD CONSTRAINT "gas_transactions_treasury_id_payment_id_fkey" FOREIGN KEY ("treasury_id", "payment_id") REFERENCES "payments"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;


-- The main treasury keeps the wallets it has: those of account 0 of the phrase.
UPDATE "treasuries" SET "position" = 0 WHERE "name" = 'main';
ALTER TABLE "treasuries" ADD CONSTRAINT "treasuries_position" CHECK ("position" BETWEEN 0 AND 1000000);

-- The place in the key tree is where the keys are found again: it never changes.
CREATE FUNCTION "treasuries_fixed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'treasury % keeps its position', OLD."id" USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "treasuries_keep_position" BEFORE UPDATE ON "treasuries"
  FOR EACH ROW WHEN (OLD."position" <> NEW."position" OR OLD."id" <> NEW."id") EXECUTE FUNCTION "treasuries_fixed"();

-- The key of a retired wallet may be gone: it never comes back.
CREATE FUNCTION "wallets_retired"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'wallet % is retired for good', OLD."id" USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "wallets_retired" BEFORE UPDATE ON "wallets"
  FOR EACH ROW WHEN (OLD."status" = 'retired' AND NEW."status" <> 'retired') EXECUTE FUNCTION "wallets_retired"();

ALTER TABLE "gas_transactions" ADD CONSTRAINT "gas_transactions_bounds" CHECK (
  "status" IN ('open', 'mined') AND "nonce" >= 0 AND "gas_limit" > 0 AND "attempts" > 0
  AND "max_priority_fee" >= 0 AND "max_fee" >= "max_priority_fee"
);
-- A nonce that was mined is history, and one that is open only ever bids more: a lower bid could be the
-- second signature of a nonce that the first still wins.
CREATE FUNCTION "gas_transactions_fixed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'nonce % of % cannot change so', OLD."nonce", OLD."sender" USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "gas_transactions_forward" BEFORE UPDATE ON "gas_transactions"
  FOR EACH ROW WHEN (
    OLD."status" = 'mined' OR NEW."max_fee" < OLD."max_fee" OR NEW."attempts" < OLD."attempts"
    OR OLD."network" <> NEW."network" OR OLD."sender" <> NEW."sender" OR OLD."nonce" <> NEW."nonce"
    OR OLD."payment_id" <> NEW."payment_id" OR (OLD."is_void" AND NOT NEW."is_void")
  ) EXECUTE FUNCTION "gas_transactions_fixed"();
CREATE TRIGGER "gas_transactions_no_delete" BEFORE DELETE ON "gas_transactions"
  FOR EACH ROW EXECUTE FUNCTION "gas_transactions_fixed"();
CREATE TRIGGER "gas_transactions_no_truncate" BEFORE TRUNCATE ON "gas_transactions"
  FOR EACH STATEMENT EXECUTE FUNCTION "never_truncated"();
