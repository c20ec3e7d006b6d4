-- Windows, approvals, carve-outs, and the counters that let a revocation cost the same for a tree of one
-- and of 100,000 (docs/adr/0010-carve-outs.md, 0011-order-of-grants.md).

-- AlterTable
ALTER TABLE "grants"
  ADD COLUMN "windows" JSONB NOT NULL DEFAULT '[]',
  ADD COLUMN "window_usage" JSONB NOT NULL DEFAULT '[]',
  ADD COLUMN "approval_above" DECIMAL(78,0),
  ADD COLUMN "suspended_by" TEXT,
  ADD COLUMN "open_payments" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "alive" INTEGER NOT NULL DEFAULT 1,
  ADD COLUMN "returned_at" TIMESTAMPTZ(3);

UPDATE "grants" g SET
  "open_payments" = (
    SELECT count(*) FROM "payments" p JOIN "grants" o ON o."treasury_id" = p."treasury_id" AND o."id" = p."grant_id"
    WHERE o."treasury_id" = g."treasury_id" AND g."id" = ANY (o."path") AND p."status" = 'authorized'),
  "alive" = (
    SELECT count(*) FROM "grants" o WHERE o."treasury_id" = g."treasury_id" AND g."id" = ANY (o."path")
      AND NOT EXISTS (SELECT 1 FROM "grants" a WHERE a."treasury_id" = o."treasury_id" AND a."id" = ANY (o."path")
        AND a."status" = 'revoked'));

-- DropIndex
DROP INDEX "grants_path_idx";

-- CreateIndex
CREATE INDEX "grants_treasury_id_path_idx" ON "grants"("treasury_id", "path");

-- CreateIndex
CREATE INDEX "grants_id_idx" ON "grants"("id");

-- CreateIndex
CREATE INDEX "grants_treasury_id_holder_path_idx" ON "grants"("treasury_id", "holder", "path");

-- CreateIndex
CREATE INDEX "grants_labels_idx" ON "grants" USING GIN ("labels");

-- CreateIndex
CREATE INDEX "grants_funding_returned_at_expires_at_idx" ON "grants"("funding", "returned_at", "expires_at");

-- CreateIndex
CREATE INDEX "payments_id_idx" ON "payments"("id");

-- A window's period never takes more than the window allows: the wall behind the ledger's own decision.
CREATE FUNCTION "windows_hold"("windows" JSONB, "usage" JSONB) RETURNS BOOLEAN LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_array_length("windows") <= 4 AND jsonb_array_length("usage") <= jsonb_array_length("windows")
    AND NOT EXISTS (
      SELECT 1 FROM jsonb_array_elements("usage") WITH ORDINALITY AS u ("taken", "place")
      WHERE (u."taken" ->> 'amount')::numeric < 0 OR (u."taken" ->> 'payments')::integer < 0
        OR (u."taken" ->> 'amount')::numeric > ("windows" -> (u."place" - 1)::integer ->> 'amount')::numeric
        OR (u."taken" ->> 'payments')::integer > ("windows" -> (u."place" - 1)::integer ->> 'payments')::integer)
$$;
ALTER TABLE "grants" ADD CONSTRAINT "grants_windows" CHECK (
  ("windows" = '[]' AND "window_usage" = '[]') OR "windows_hold"("windows", "window_usage")
);
ALTER TABLE "grants" ADD CONSTRAINT "grants_approval" CHECK ("approval_above" >= 0);
ALTER TABLE "grants" ADD CONSTRAINT "grants_suspended" CHECK (("status" = 'suspended') = ("suspended_by" IS NOT NULL));
-- What was returned to the parent can no longer be spent: nothing may be open, and only a carve-out returns.
ALTER TABLE "grants" ADD CONSTRAINT "grants_open" CHECK (
  "open_payments" BETWEEN 0 AND "payments" AND "alive" >= 0
  AND ("returned_at" IS NULL OR ("funding" = 'reserved' AND "open_payments" = 0))
);
