-- Some terms can be amended: decisions read them under the lock. The others stay fixed, since decisions read them
-- from memory.
DROP TRIGGER "grants_no_rewrite" ON "grants";
CREATE TRIGGER "grants_no_rewrite" BEFORE UPDATE OF "treasury_id", "id", "parent_id", "root_id", "path", "depth",
    "holder", "currency", "windows", "scope", "starts_at", "delegation_depth", "funding", "holder_key",
    "holder_key_thumbprint", "minted_by", "mint_key", "mint_hash", "created_at" ON "grants"
  FOR EACH ROW EXECUTE FUNCTION "grants_fixed"();

-- What has ended for good is amended no more.
CREATE TRIGGER "grants_ended" BEFORE UPDATE OF "budget", "max_per_payment", "max_payments", "approval_above",
    "expires_at", "labels", "purpose" ON "grants"
  FOR EACH ROW WHEN (OLD."status" = 'revoked' OR OLD."returned_at" IS NOT NULL) EXECUTE FUNCTION "grants_fixed"();
