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
CREATE INDEX "payments_waiting" ON "payments"("treasury_id", "grant_id")
  WHERE ("status" = 'pending_approval'::text);

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
-- The body is kept only while it may be decided again.
ALTER TABLE "payments" ADD CONSTRAINT "payments_approval" CHECK (
  num_nonnulls("approval_from_above", "approval_lapses_at") IN (0, 2)
  AND ("approval_body" IS NOT NULL) = ("status" = 'pending_approval')
  AND ("status" NOT IN ('pending_approval', 'rejected') OR "approval_from_above" IS NOT NULL)
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
-- What waits becomes authorized or rejected, and stays the payment that was asked for: what is approved
-- is what is signed.
CREATE TRIGGER "payments_pending" BEFORE UPDATE ON "payments"
  FOR EACH ROW WHEN (
    OLD."status" = 'pending_approval' AND (
      NEW."status" NOT IN ('authorized', 'rejected')
      OR to_jsonb(OLD) - ARRAY['status', 'wallet_id', 'payer', 'nonce', 'valid_after', 'valid_before',
           'decision', 'authorized_at', 'approval_body', 'decided_by', 'decided_reason', 'ended_at']
        <> to_jsonb(NEW) - ARRAY['status', 'wallet_id', 'payer', 'nonce', 'valid_after', 'valid_before',
           'decision', 'authorized_at', 'approval_body', 'decided_by', 'decided_reason', 'ended_at'])
  ) EXECUTE FUNCTION "payments_fixed"();

-- A grant's terms never change after minting: decisions read them from memory.
CREATE FUNCTION "grants_fixed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the terms of grant % are fixed', OLD."id" USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "grants_no_rewrite" BEFORE UPDATE OF "treasury_id", "id", "parent_id", "root_id", "path", "depth",
    "holder", "currency", "budget", "max_per_payment", "max_payments", "windows", "approval_above", "scope",
    "starts_at", "expires_at", "delegation_depth", "funding" ON "grants"
  FOR EACH ROW EXECUTE FUNCTION "grants_fixed"();
