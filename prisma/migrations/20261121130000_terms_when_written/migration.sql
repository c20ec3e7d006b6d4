-- What holds for a grant's terms and status is looked at when these are written, not at each payment's
-- counting: as CHECKs, Postgres reads and plans all of them anew for every statement that updates a grant,
-- half of the time such a statement takes. Nothing else changes: the same conditions, refused by the same
-- name. What holds for its counters stays a CHECK.
CREATE FUNCTION "row_refused"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a row of % is not as % says', TG_TABLE_NAME, TG_NAME
    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
END $$;

ALTER TABLE "grants"
  DROP CONSTRAINT "grants_id_kind",
  DROP CONSTRAINT "grants_path",
  DROP CONSTRAINT "grants_path_lineage",
  DROP CONSTRAINT "grants_terms",
  DROP CONSTRAINT "grants_approval",
  DROP CONSTRAINT "grants_holder_key",
  DROP CONSTRAINT "grants_status",
  DROP CONSTRAINT "grants_suspended";

CREATE TRIGGER "grants_id_kind" BEFORE INSERT OR UPDATE OF "id" ON "grants"
  FOR EACH ROW WHEN (NOT (NEW."id" LIKE 'grt\_%')) EXECUTE FUNCTION "row_refused"();

CREATE TRIGGER "grants_path" BEFORE INSERT OR UPDATE OF "id", "parent_id", "root_id", "path", "depth" ON "grants"
  FOR EACH ROW WHEN ((
    cardinality(NEW."path") = NEW."depth" + 1 AND NEW."path"[1] = NEW."root_id"
    AND NEW."path"[NEW."depth" + 1] = NEW."id" AND (NEW."parent_id" IS NULL) = (NEW."depth" = 0)
    AND (NEW."depth" = 0 OR NEW."path"[NEW."depth"] = NEW."parent_id")
    AND array_position(NEW."path", NULL) IS NULL
  ) IS NOT TRUE) EXECUTE FUNCTION "row_refused"();

-- After "grants_fill_lineage", which Postgres takes first by its name.
CREATE TRIGGER "grants_path_lineage" BEFORE INSERT OR UPDATE OF "path", "lineage" ON "grants"
  FOR EACH ROW WHEN (NOT (NEW."lineage" = array_to_string(NEW."path", '/'))) EXECUTE FUNCTION "row_refused"();

CREATE TRIGGER "grants_terms" BEFORE INSERT
  OR UPDATE OF "max_per_payment", "starts_at", "expires_at", "delegation_depth", "funding" ON "grants"
  FOR EACH ROW WHEN (NOT (
    NEW."max_per_payment" >= 0 AND NEW."expires_at" > NEW."starts_at"
    AND NEW."delegation_depth" BETWEEN 0 AND 8 AND NEW."funding" IN ('shared', 'reserved')
  )) EXECUTE FUNCTION "row_refused"();

CREATE TRIGGER "grants_approval" BEFORE INSERT OR UPDATE OF "approval_above" ON "grants"
  FOR EACH ROW WHEN (NOT (NEW."approval_above" >= 0)) EXECUTE FUNCTION "row_refused"();

CREATE TRIGGER "grants_holder_key" BEFORE INSERT OR UPDATE OF "holder_key", "holder_key_thumbprint" ON "grants"
  FOR EACH ROW WHEN (NOT (
    (NEW."holder_key" IS NULL) = (NEW."holder_key_thumbprint" IS NULL)
    AND NEW."holder_key_thumbprint" ~ '^[A-Za-z0-9_-]{43}$'
  )) EXECUTE FUNCTION "row_refused"();

CREATE TRIGGER "grants_status" BEFORE INSERT OR UPDATE OF "status", "revoked_at" ON "grants"
  FOR EACH ROW WHEN (NOT (
    NEW."status" IN ('active', 'suspended', 'revoked') AND (NEW."status" = 'revoked') = (NEW."revoked_at" IS NOT NULL)
  )) EXECUTE FUNCTION "row_refused"();

CREATE TRIGGER "grants_suspended" BEFORE INSERT OR UPDATE OF "status", "suspended_by" ON "grants"
  FOR EACH ROW WHEN (NOT ((NEW."status" = 'suspended') = (NEW."suspended_by" IS NOT NULL)))
  EXECUTE FUNCTION "row_refused"();

-- The same as before, in another language: one of SQL is parsed again for every statement that updates a
-- grant, to see whether it could be unfolded there.
CREATE OR REPLACE FUNCTION "windows_hold"("windows" JSONB, "usage" JSONB) RETURNS BOOLEAN
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN jsonb_array_length("windows") <= 4 AND jsonb_array_length("usage") <= jsonb_array_length("windows")
      AND NOT EXISTS (
        SELECT 1 FROM jsonb_array_elements("usage") WITH ORDINALITY AS u ("taken", "place")
        WHERE (u."taken" ->> 'amount')::numeric < 0 OR (u."taken" ->> 'payments')::integer < 0
          OR (u."taken" ->> 'amount')::numeric > ("windows" -> (u."place" - 1)::integer ->> 'amount')::numeric
          OR (u."taken" ->> 'payments')::integer > ("windows" -> (u."place" - 1)::integer ->> 'payments')::integer);
END $$;
