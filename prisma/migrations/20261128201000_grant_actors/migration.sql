-- Two-person mode (docs/adr/0037-who-acted-as-a-grant.md) refuses an approver who could have acted as a grant of the
-- paying chain, or who raised something for it. A row is written in the transaction that hands a token out.

-- CreateTable
CREATE TABLE "grant_actors" (
  "treasury_id" TEXT NOT NULL,
  "grant_id" TEXT NOT NULL,
  "actor" TEXT NOT NULL,
  "since" TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT "grant_actors_pkey" PRIMARY KEY ("treasury_id", "grant_id", "actor")
);
ALTER TABLE "grant_actors" ADD CONSTRAINT "grant_actors_treasury_id_grant_id_fkey" FOREIGN KEY ("treasury_id", "grant_id") REFERENCES "grants"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- The log tells who was handed a token before this table was there.
INSERT INTO "grant_actors" ("treasury_id", "grant_id", "actor", "since")
  SELECT e."treasury_id", e."grant_id", e."actor", min(e."created_at") FROM "events" e
  JOIN "grants" g ON g."treasury_id" = e."treasury_id" AND g."id" = e."grant_id"
  WHERE e."kind" IN ('grant.minted', 'grant.delegated', 'grant.token_reissued', 'grant.resumed')
  GROUP BY 1, 2, 3;
INSERT INTO "grant_actors" ("treasury_id", "grant_id", "actor", "since")
  SELECT "treasury_id", "id", "minted_by", "created_at" FROM "grants" ON CONFLICT DO NOTHING;

CREATE FUNCTION "grant_actors_fixed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'that % acted on grant % stays on record', OLD."actor", OLD."grant_id" USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "grant_actors_no_rewrite" BEFORE UPDATE OR DELETE ON "grant_actors"
  FOR EACH ROW EXECUTE FUNCTION "grant_actors_fixed"();
CREATE TRIGGER "grant_actors_no_truncate" BEFORE TRUNCATE ON "grant_actors"
  FOR EACH STATEMENT EXECUTE FUNCTION "never_truncated"();

-- The holder's key, and the identity of the minting request, are as fixed as the terms.
DROP TRIGGER "grants_key_fixed" ON "grants";
DROP FUNCTION "grants_key_fixed"();
DROP TRIGGER "grants_no_rewrite" ON "grants";
CREATE TRIGGER "grants_no_rewrite" BEFORE UPDATE OF "treasury_id", "id", "parent_id", "root_id", "path", "depth",
    "holder", "currency", "budget", "max_per_payment", "max_payments", "windows", "approval_above", "scope",
    "starts_at", "expires_at", "delegation_depth", "funding", "holder_key", "holder_key_thumbprint", "minted_by",
    "mint_key", "mint_hash", "created_at" ON "grants"
  FOR EACH ROW EXECUTE FUNCTION "grants_fixed"();

SELECT "keep_treasuries_apart"();
