-- Treasuries that are stopped (docs/adr/0074-stop-everything.md). A row is there exactly while its treasury is suspended.

-- CreateTable
CREATE TABLE "treasury_suspensions" (
    "treasury_id" TEXT NOT NULL,
    "suspended_at" TIMESTAMPTZ(3) NOT NULL,
    "suspended_by" TEXT NOT NULL,
    "reason" TEXT,

    CONSTRAINT "treasury_suspensions_pkey" PRIMARY KEY ("treasury_id")
);
ALTER TABLE "treasury_suspensions" ADD CONSTRAINT "treasury_suspensions_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- A page of the grants of one depth: the roots, out of however many grants.
CREATE INDEX "grants_depth_treasury_id_lineage_idx" ON "grants"("depth", "treasury_id", "lineage");

SELECT "keep_treasuries_apart"();
