-- One key is one purchase (docs/adr/0021-one-key-one-purchase.md): a payment is recognised by its request and
-- its material terms, no longer by a hash of the whole body. An approval permits, and the hand-over
-- decides, so nothing of the body is kept for it (docs/adr/0022-approvals-permit.md).

DROP TRIGGER "payments_pending" ON "payments";
DROP TRIGGER "payments_no_rewrite" ON "payments";
ALTER TABLE "payments" DROP CONSTRAINT "payments_approval";

-- AlterTable
ALTER TABLE "payments" RENAME COLUMN "resource" TO "declared_resource";
ALTER TABLE "payments"
  ALTER COLUMN "declared_resource" DROP NOT NULL,
  ADD COLUMN "resource_mismatch" BOOLEAN NOT NULL DEFAULT false,
  ADD COLUMN "approved_at" TIMESTAMPTZ(3),
  DROP COLUMN "request_hash",
  DROP COLUMN "approval_body";

-- A payment that was authorized before waited for its approval, which authorized it.
ALTER TABLE "payments" DISABLE TRIGGER USER;
UPDATE "payments" SET "approved_at" = "authorized_at"
  WHERE "approval_from_above" IS NOT NULL AND "authorized_at" IS NOT NULL;
ALTER TABLE "payments" ENABLE TRIGGER USER;

ALTER TABLE "payments" ADD CONSTRAINT "payments_approval" CHECK (
  num_nonnulls("approval_from_above", "approval_lapses_at") IN (0, 2)
  AND ("status" NOT IN ('pending_approval', 'rejected') OR "approval_from_above" IS NOT NULL)
  -- Whatever asked for an approval is signed only with one.
  AND ("approval_from_above" IS NULL OR "authorized_at" IS NULL OR "approved_at" IS NOT NULL)
  AND ("approved_at" IS NULL OR ("approval_from_above" IS NOT NULL AND "decided_by" IS NOT NULL))
  AND ("status" <> 'rejected' OR "decided_by" IS NOT NULL)
);

CREATE TRIGGER "payments_no_rewrite" BEFORE UPDATE ON "payments"
  FOR EACH ROW WHEN (
    OLD."status" = 'authorized' AND to_jsonb(OLD) - ARRAY['status', 'transaction', 'block_number', 'ended_at']
      <> to_jsonb(NEW) - ARRAY['status', 'transaction', 'block_number', 'ended_at']
  ) EXECUTE FUNCTION "payments_fixed"();
-- What waits becomes authorized or rejected. It stays the purchase that was asked for, with its material
-- terms; the hand-over writes the fresh entry and its echoes.
CREATE TRIGGER "payments_pending" BEFORE UPDATE ON "payments"
  FOR EACH ROW WHEN (
    OLD."status" = 'pending_approval' AND (
      NEW."status" NOT IN ('pending_approval', 'authorized', 'rejected')
      OR to_jsonb(OLD) - ARRAY['status', 'wallet_id', 'payer', 'nonce', 'valid_after', 'valid_before', 'decision',
           'authorized_at', 'approved_at', 'approval_lapses_at', 'decided_by', 'decided_reason', 'ended_at',
           'x402_version', 'requirement', 'resource_echo', 'extensions_echo', 'declared_resource', 'resource_mismatch']
        <> to_jsonb(NEW) - ARRAY['status', 'wallet_id', 'payer', 'nonce', 'valid_after', 'valid_before', 'decision',
           'authorized_at', 'approved_at', 'approval_lapses_at', 'decided_by', 'decided_reason', 'ended_at',
           'x402_version', 'requirement', 'resource_echo', 'extensions_echo', 'declared_resource', 'resource_mismatch'])
  ) EXECUTE FUNCTION "payments_fixed"();

-- Two-person mode reads who minted a grant from memory, so it is fixed like the terms.
DROP TRIGGER "grants_no_rewrite" ON "grants";
CREATE TRIGGER "grants_no_rewrite" BEFORE UPDATE OF "treasury_id", "id", "parent_id", "root_id", "path", "depth",
    "holder", "currency", "budget", "max_per_payment", "max_payments", "windows", "approval_above", "scope",
    "starts_at", "expires_at", "delegation_depth", "funding", "minted_by" ON "grants"
  FOR EACH ROW EXECUTE FUNCTION "grants_fixed"();
