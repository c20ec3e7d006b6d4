-- Windows, approvals, carve-outs, and the counters that let a revocation cost the same for a tree of one
-- and of 100,000 (docs/adr/0010-carve-outs.md, 0011-order-of-grants.md).

-- AlterTable
ALTER TABLE "grants"
  ADD COLUMN "windows" JSONB NOT NULL DEFAULT '[]',
  ADD COLUMN "window_usage" JSONB NOT NULL DEFAULT '[]',
  ADD COLUMN "approval_above" DECIMAL(78,0),
  ADD COLUMN "suspended_by" TEXT,
  ALTER COLUMN "payments" TYPE BIGINT,
  ADD COLUMN "lineage" TEXT NOT NULL DEFAULT '',
  ADD COLUMN "open_payments" BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN "last_valid_before" BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN "returns_below" BOOLEAN NOT NULL DEFAULT false,
  ADD COLUMN "alive" INTEGER NOT NULL DEFAULT 1,
  ADD COLUMN "returned_at" TIMESTAMPTZ(3);

-- The path as one text: a tree is a range of an index over it. Over the array it would be one too, but
-- comparing arrays is not leakproof, so that row-level security keeps it from such an index.
UPDATE "grants" SET "lineage" = array_to_string("path", '/');
ALTER TABLE "grants" ADD CONSTRAINT "grants_path_lineage" CHECK ("lineage" = array_to_string("path", '/'));
CREATE FUNCTION "grants_fill_lineage"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW."lineage" := coalesce(array_to_string(NEW."path", '/'), '');
  RETURN NEW;
END $$;
CREATE TRIGGER "grants_fill_lineage" BEFORE INSERT ON "grants"
  FOR EACH ROW EXECUTE FUNCTION "grants_fill_lineage"();

UPDATE "grants" SET "suspended_by" = 'admin:unknown' WHERE "status" = 'suspended';
UPDATE "grants" g SET "open_payments" = s."open", "last_valid_before" = s."last"
FROM (
  SELECT o."treasury_id", e."id", count(*) AS "open", max(p."valid_before") AS "last"
  FROM "payments" p JOIN "grants" o ON o."treasury_id" = p."treasury_id" AND o."id" = p."grant_id"
  CROSS JOIN LATERAL unnest(o."path") AS e ("id")
  WHERE p."status" = 'authorized' GROUP BY o."treasury_id", e."id") s
WHERE g."treasury_id" = s."treasury_id" AND g."id" = s."id";
UPDATE "grants" g SET "alive" = coalesce(s."alive", 0)
FROM "grants" x LEFT JOIN (
  SELECT o."treasury_id", e."id", count(*) AS "alive"
  FROM "grants" o CROSS JOIN LATERAL unnest(o."path") AS e ("id")
  WHERE NOT EXISTS (SELECT 1 FROM unnest(o."path") AS a ("id") JOIN "grants" r
    ON r."treasury_id" = o."treasury_id" AND r."id" = a."id" AND r."status" = 'revoked')
  GROUP BY o."treasury_id", e."id") s ON s."treasury_id" = x."treasury_id" AND s."id" = x."id"
WHERE g."treasury_id" = x."treasury_id" AND g."id" = x."id";

-- DropIndex
DROP INDEX "grants_path_idx";

-- CreateIndex
CREATE INDEX "grants_treasury_id_lineage_idx" ON "grants"("treasury_id", "lineage");

-- CreateIndex
CREATE INDEX "grants_id_idx" ON "grants"("id");

-- CreateIndex
CREATE INDEX "grants_treasury_id_holder_lineage_idx" ON "grants"("treasury_id", "holder", "lineage");

-- CreateIndex
CREATE INDEX "grants_labels_idx" ON "grants" USING GIN ("labels");

-- Carve-outs that may have something to give back: those that expire, and those below a revocation.
-- No counter stands in the predicates: a hot row's updates must not touch an index.
-- CreateIndex
CREATE INDEX "grants_expiring_carve_outs" ON "grants"("expires_at")
  WHERE (("funding" = 'reserved'::text) AND ("returned_at" IS NULL) AND ("parent_id" IS NOT NULL));

-- CreateIndex
CREATE INDEX "grants_carve_outs_below" ON "grants"("treasury_id", "lineage")
  WHERE (("funding" = 'reserved'::text) AND ("returned_at" IS NULL) AND ("parent_id" IS NOT NULL));

-- CreateIndex
CREATE INDEX "grants_returns_below" ON "grants"("treasury_id", "id") WHERE "returns_below";

-- CreateIndex
CREATE INDEX "payments_id_idx" ON "payments"("id");

-- CreateIndex
CREATE INDEX "payments_treasury_id_grant_id_id_idx" ON "payments"("treasury_id", "grant_id", "id");

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
