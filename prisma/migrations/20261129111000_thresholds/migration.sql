-- Thresholds that grants came to, so that each is told once (docs/adr/0096-thresholds.md). Bound 0 is the budget, n the n-th
-- window. A row is written at a crossing only: a payment that crosses none writes nothing here.
CREATE TABLE "grant_thresholds" (
    "treasury_id" TEXT NOT NULL,
    "grant_id" TEXT NOT NULL,
    "bound" SMALLINT NOT NULL,
    "period" BIGINT NOT NULL,
    "percent" SMALLINT NOT NULL,

    CONSTRAINT "grant_thresholds_pkey" PRIMARY KEY ("treasury_id", "grant_id", "bound", "period", "percent")
);
ALTER TABLE "grant_thresholds" ADD CONSTRAINT "grant_thresholds_treasury_id_grant_id_fkey" FOREIGN KEY ("treasury_id", "grant_id") REFERENCES "grants"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;
ALTER TABLE "grant_thresholds" ADD CONSTRAINT "grant_thresholds_bounds" CHECK ("bound" BETWEEN 0 AND 4 AND "period" >= 0 AND "percent" IN (50, 80, 100));

SELECT "keep_treasuries_apart"();
