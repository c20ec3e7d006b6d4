-- Payments that wait for an approval hold nothing: wallet, nonce and validity are fixed only when the
-- approval decides again (docs/adr/0014-approvals.md).

-- AlterTable
ALTER TABLE "payments"
  ALTER COLUMN "wallet_id" DROP NOT NULL,
  ALTER COLUMN "payer" DROP NOT NULL,
  ALTER COLUMN "nonce" DROP NOT NULL,
  ALTER COLUMN "valid_after" DROP NOT NULL,
  ALTER COLUMN "valid_before" DROP NOT NULL,
  ALTER COLUMN "decision" DROP NOT NULL,
  ADD COLUMN "authorized_at" TIMESTAMPTZ(3),
  ADD COLUMN "approval_from_above" TEXT,
  ADD COLUMN "approval_body" TEXT,
  ADD COLUMN "approval_lapses_at" TIMESTAMPTZ(3),
  ADD COLUMN "decided_by" TEXT,
  ADD COLUMN "decided_reason" TEXT;

-- The trigger guards what was signed; that each payment so far was authorized when it was made is new.
ALTER TABLE "payments" DISABLE TRIGGER USER;
UPDATE "payments" SET "authorized_at" = "created_at";
ALTER TABLE "payments" ENABLE TRIGGER USER;

-- CreateIndex
CREATE INDEX "payments_status_approval_lapses_at_idx" ON "payments"("status", "approval_lapses_at");

ALTER TABLE "payments" DROP CONSTRAINT "payments_status";
ALTER TABLE "payments" ADD CONSTRAINT "payments_status" CHECK (
  "status" IN ('pending_approval', 'authorized', 'settled', 'released', 'cancelled', 'rejected')
  AND ("status" IN ('pending_approval', 'authorized')) = ("ended_at" IS NULL)
  AND ("status" <> 'settled' OR "transaction" IS NOT NULL)
);
-- Everything a signature covers is there, or nothing of it.
ALTER TABLE "payments" ADD CONSTRAINT "payments_signable" CHECK (
  num_nonnulls("wallet_id", "payer", "nonce", "valid_after", "valid_before", "decision", "authorized_at")
    = CASE WHEN "status" IN ('pending_approval', 'rejected') THEN 0 ELSE 7 END
);
ALTER TABLE "payments" ADD CONSTRAINT "payments_approval" CHECK (
  num_nonnulls("approval_from_above", "approval_body", "approval_lapses_at") IN (0, 3)
  AND ("status" NOT IN ('pending_approval', 'rejected') OR "approval_body" IS NOT NULL)
  AND ("status" <> 'rejected' OR "decided_by" IS NOT NULL)
);

DROP TRIGGER "payments_terminal" ON "payments";
CREATE TRIGGER "payments_terminal" BEFORE UPDATE ON "payments"
  FOR EACH ROW WHEN (OLD."status" NOT IN ('pending_approval', 'authorized')) EXECUTE FUNCTION "payments_fixed"();
DROP TRIGGER "payments_no_rewrite" ON "payments";
CREATE TRIGGER "payments_no_rewrite" BEFORE UPDATE ON "payments"
  FOR EACH ROW WHEN (
    OLD."status" = 'authorized' AND to_jsonb(OLD) - ARRAY['status', 'transaction', 'block_number', 'ended_at']
      <> to_jsonb(NEW) - ARRAY['status', 'transaction', 'block_number', 'ended_at']
  ) EXECUTE FUNCTION "payments_fixed"();
-- What waits becomes authorized or rejected, and stays the payment of the same request.
CREATE TRIGGER "payments_pending" BEFORE UPDATE ON "payments"
  FOR EACH ROW WHEN (
    OLD."status" = 'pending_approval' AND (
      NEW."status" NOT IN ('authorized', 'rejected')
      OR (OLD."treasury_id", OLD."id", OLD."grant_id", OLD."idempotency_key", OLD."request_hash",
          OLD."approval_body", OLD."created_at")
        IS DISTINCT FROM (NEW."treasury_id", NEW."id", NEW."grant_id", NEW."idempotency_key",
          NEW."request_hash", NEW."approval_body", NEW."created_at"))
  ) EXECUTE FUNCTION "payments_fixed"();

-- A grant's terms never change after minting: decisions read them from memory.
CREATE FUNCTION "grants_fixed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the terms of grant % are fixed', OLD."id" USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "grants_no_rewrite" BEFORE UPDATE ON "grants"
  FOR EACH ROW WHEN (
    (OLD."treasury_id", OLD."id", OLD."path", OLD."currency", OLD."budget", OLD."max_per_payment",
     OLD."max_payments", OLD."windows", OLD."approval_above", OLD."scope", OLD."starts_at", OLD."expires_at",
     OLD."delegation_depth", OLD."funding", OLD."holder")
    IS DISTINCT FROM
    (NEW."treasury_id", NEW."id", NEW."path", NEW."currency", NEW."budget", NEW."max_per_payment",
     NEW."max_payments", NEW."windows", NEW."approval_above", NEW."scope", NEW."starts_at", NEW."expires_at",
     NEW."delegation_depth", NEW."funding", NEW."holder")
  ) EXECUTE FUNCTION "grants_fixed"();
