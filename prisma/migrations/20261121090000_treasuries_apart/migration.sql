-- Treasuries apart: the second wall behind the treasury id in every query (docs/security.md).
--
-- The service's sessions step down to the role bursar_service, which owns nothing, so that row-level
-- security holds for them even where the database user is a superuser. Each session, or transaction, says
-- in the setting bursar.treasuries which treasuries it works for: '*' for all, or ids with commas between.
-- What says nothing sees nothing. The tables' owner still sees all, for dumps and for looking by hand.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bursar_service') THEN
    CREATE ROLE "bursar_service" NOLOGIN;
  END IF;
EXCEPTION
  -- Roles belong to the whole server: another database's migration may have made it meanwhile.
  WHEN duplicate_object OR unique_violation THEN NULL;
  WHEN insufficient_privilege THEN
    RAISE WARNING 'role bursar_service cannot be made by this user: see docs/security.md, "Treasuries apart"';
END $$;

-- Puts the wall around every table that names a treasury, and lets the service's role in. Idempotent: a
-- later migration that makes tables ends with SELECT "keep_treasuries_apart"().
CREATE FUNCTION "keep_treasuries_apart"() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT c.oid::regclass AS "table", a.attname AS "column" FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
      AND a.attname = CASE c.relname WHEN 'treasuries' THEN 'id' ELSE 'treasury_id' END
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'treasuries_apart')
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t."table");
    -- A CASE and not an OR: Postgres takes an OR of such for letting next to nothing through, and would
    -- read and sort a whole tree for one page of it.
    EXECUTE format(
      'CREATE POLICY "treasuries_apart" ON %s USING (CASE '
      'WHEN current_setting(''bursar.treasuries'', true) = ''*'' THEN true '
      'ELSE %I = ANY (string_to_array(current_setting(''bursar.treasuries'', true), '','')) END)',
      t."table", t."column");
  END LOOP;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bursar_service') THEN RETURN; END IF;
  IF NOT pg_has_role(current_user, 'bursar_service', 'MEMBER') THEN
    BEGIN
      EXECUTE format('GRANT "bursar_service" TO %I', current_user);
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE WARNING 'role bursar_service is not this user''s to use: see docs/security.md, "Treasuries apart"';
    END;
  END IF;
  GRANT USAGE ON SCHEMA public TO "bursar_service";
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "bursar_service";
  GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO "bursar_service";
  -- What is a record, or holds money, is never deleted, nor is the history of migrations touched.
  REVOKE DELETE ON "treasuries", "wallets", "grants", "payments", "events" FROM "bursar_service";
  IF to_regclass('_prisma_migrations') IS NOT NULL THEN
    REVOKE INSERT, UPDATE, DELETE ON "_prisma_migrations" FROM "bursar_service";
  END IF;
END $$;

SELECT "keep_treasuries_apart"();
