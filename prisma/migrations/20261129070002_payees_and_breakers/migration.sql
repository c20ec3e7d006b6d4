-- Two terms of grants (docs/adr/0083-new-payees-and-breakers.md). Both are fixed at minting.
ALTER TABLE "grants"
  ADD COLUMN "approve_new_payees" BOOLEAN NOT NULL DEFAULT false,
  ADD COLUMN "breaker_refusals" INTEGER,
  ADD COLUMN "breaker_seconds" INTEGER;
ALTER TABLE "grants" ADD CONSTRAINT "grants_breaker" CHECK (
  num_nonnulls("breaker_refusals", "breaker_seconds") IN (0, 2)
  AND "breaker_refusals" BETWEEN 1 AND 100 AND "breaker_seconds" BETWEEN 1 AND 86400
);
DROP TRIGGER "grants_no_rewrite" ON "grants";
CREATE TRIGGER "grants_no_rewrite" BEFORE UPDATE OF "treasury_id", "id", "parent_id", "root_id", "path", "depth",
    "holder", "currency", "windows", "scope", "starts_at", "delegation_depth", "funding", "holder_key",
    "holder_key_thumbprint", "minted_by", "mint_key", "mint_hash", "created_at", "approve_new_payees",
    "breaker_refusals", "breaker_seconds" ON "grants"
  FOR EACH ROW EXECUTE FUNCTION "grants_fixed"();

-- The payees that a grant with approve_new_payees knows, each with the payment that made it known. Read and written
-- under the grant's lock.
CREATE TABLE "known_payees" (
    "treasury_id" TEXT NOT NULL,
    "grant_id" TEXT NOT NULL,
    "network" TEXT NOT NULL,
    "pay_to" TEXT NOT NULL,
    "payment_id" TEXT NOT NULL,
    "since" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "known_payees_pkey" PRIMARY KEY ("treasury_id", "grant_id", "network", "pay_to")
);
ALTER TABLE "known_payees" ADD CONSTRAINT "known_payees_treasury_id_grant_id_fkey" FOREIGN KEY ("treasury_id", "grant_id") REFERENCES "grants"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;
CREATE FUNCTION "known_payees_fixed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what grant % knows cannot change', OLD."grant_id" USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "known_payees_no_rewrite" BEFORE UPDATE OR DELETE ON "known_payees"
  FOR EACH ROW EXECUTE FUNCTION "known_payees_fixed"();
CREATE TRIGGER "known_payees_no_truncate" BEFORE TRUNCATE ON "known_payees"
  FOR EACH STATEMENT EXECUTE FUNCTION "never_truncated"();

-- The newest refusals that a breaker counts, oldest first, and which of them have an event of their own. Written by
-- refusals only, under the grant's lock.
CREATE TABLE "breaker_counts" (
    "treasury_id" TEXT NOT NULL,
    "grant_id" TEXT NOT NULL,
    "times" TIMESTAMPTZ(3)[],
    "recorded" BOOLEAN[],

    CONSTRAINT "breaker_counts_pkey" PRIMARY KEY ("treasury_id", "grant_id")
);
ALTER TABLE "breaker_counts" ADD CONSTRAINT "breaker_counts_treasury_id_grant_id_fkey" FOREIGN KEY ("treasury_id", "grant_id") REFERENCES "grants"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;
ALTER TABLE "breaker_counts" ADD CONSTRAINT "breaker_counts_bounds" CHECK (
  cardinality("times") = cardinality("recorded") AND cardinality("times") <= 100
);

SELECT "keep_treasuries_apart"();
