-- Code on a wallet's address (an EIP-7702 delegation): such a wallet is not selected on that network. The
-- columns stand in the row that a reservation locks, so that a reservation which waited for the lock sees
-- them as they were committed. Every asset's row of one wallet and network has the same values.
ALTER TABLE "wallet_balances" ADD COLUMN "code" TEXT;
ALTER TABLE "wallet_balances" ADD COLUMN "code_block" BIGINT;
ALTER TABLE "wallet_balances" ADD COLUMN "code_seen_at" TIMESTAMPTZ(3);
ALTER TABLE "wallet_balances" ADD CONSTRAINT "wallet_balances_code" CHECK (
  ("code" IS NULL) = ("code_block" IS NULL) AND ("code" IS NULL) = ("code_seen_at" IS NULL)
  AND "code" ~ '^0x([0-9a-f]{2}){1,31}$'
);

-- A seller's receipt (PAYMENT-RESPONSE), byte for byte. It is evidence: a payment's state never follows from
-- it. "place" bounds how many a payment keeps.
CREATE TABLE "receipts" (
  "treasury_id" TEXT NOT NULL,
  "payment_id" TEXT NOT NULL,
  "place" INTEGER NOT NULL,
  "value" TEXT NOT NULL,
  "value_hash" TEXT NOT NULL,
  "success" BOOLEAN,
  "transaction" TEXT,
  "network" TEXT,
  "signature_outcome" TEXT NOT NULL,
  "signer" TEXT,
  "signature_reason" TEXT,
  "received_by" TEXT NOT NULL,
  "received_at" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "receipts_pkey" PRIMARY KEY ("treasury_id", "payment_id", "place")
);
CREATE UNIQUE INDEX "receipts_treasury_id_payment_id_value_hash_key" ON "receipts"("treasury_id", "payment_id", "value_hash");
ALTER TABLE "receipts" ADD CONSTRAINT "receipts_treasury_id_payment_id_fkey" FOREIGN KEY ("treasury_id", "payment_id") REFERENCES "payments"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;
ALTER TABLE "receipts" ADD CONSTRAINT "receipts_bounds" CHECK (
  "place" BETWEEN 1 AND 8
  AND octet_length("value") BETWEEN 1 AND 16384
  AND "value_hash" ~ '^[0-9a-f]{64}$'
);
ALTER TABLE "receipts" ADD CONSTRAINT "receipts_signature" CHECK (
  "signature_outcome" IN ('none', 'valid', 'invalid', 'unverifiable')
  AND ("signature_outcome" <> 'none' OR "signer" IS NULL)
  AND ("signature_outcome" <> 'valid' OR "signer" IS NOT NULL)
  AND ("signature_outcome" IN ('invalid', 'unverifiable')) = ("signature_reason" IS NOT NULL)
);

CREATE FUNCTION "receipts_fixed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a receipt of payment % is evidence and cannot change', OLD."payment_id" USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "receipts_no_rewrite" BEFORE UPDATE OR DELETE ON "receipts"
  FOR EACH ROW EXECUTE FUNCTION "receipts_fixed"();
CREATE TRIGGER "receipts_no_truncate" BEFORE TRUNCATE ON "receipts"
  FOR EACH STATEMENT EXECUTE FUNCTION "never_truncated"();

SELECT "keep_treasuries_apart"();
