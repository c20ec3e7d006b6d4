-- Since Postgres 16 a user with CREATEROLE is a member of the role that it makes, but may not SET ROLE to it unless
-- createrole_self_grant says so. Its ADMIN option lets it grant itself the SET option. Postgres 15 has no such option:
-- every member may SET ROLE.
CREATE OR REPLACE FUNCTION "keep_treasuries_apart"() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  t record;
  has_set_option boolean := current_setting('server_version_num')::int >= 160000;
BEGIN
  FOR t IN
    SELECT c.oid::regclass AS "table", a.attname AS "column" FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
      AND a.attname = CASE c.relname WHEN 'treasuries' THEN 'id' ELSE 'treasury_id' END
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'treasuries_apart')
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t."table");
    -- A CASE and not an OR: the planner estimates that an OR of these passes almost no row, and would read and sort
    -- a whole tree for one page of it.
    EXECUTE format(
      'CREATE POLICY "treasuries_apart" ON %s USING (CASE '
      'WHEN current_setting(''bursar.treasuries'', true) = ''*'' THEN true '
      'ELSE %I = ANY (string_to_array(current_setting(''bursar.treasuries'', true), '','')) END)',
      t."table", t."column");
  END LOOP;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bursar_service') THEN RETURN; END IF;
  IF NOT pg_has_role(current_user, 'bursar_service', CASE WHEN has_set_option THEN 'SET' ELSE 'MEMBER' END) THEN
    BEGIN
      EXECUTE format('GRANT "bursar_service" TO %I', current_user)
        || CASE WHEN has_set_option THEN ' WITH SET TRUE' ELSE '' END;
    EXCEPTION WHEN insufficient_privilege THEN
      RAISE WARNING 'this user may not SET ROLE bursar_service: see docs/security.md, "Treasuries apart"';
    END;
  END IF;
  GRANT USAGE ON SCHEMA public TO "bursar_service";
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "bursar_service";
  GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO "bursar_service";
  -- The service deletes no record and nothing that holds money, and does not write the history of migrations.
  REVOKE DELETE ON "treasuries", "wallets", "grants", "payments", "events", "gateway_sales", "gateway_credit_notes"
    FROM "bursar_service";
  IF to_regclass('_prisma_migrations') IS NOT NULL THEN
    REVOKE INSERT, UPDATE, DELETE ON "_prisma_migrations" FROM "bursar_service";
  END IF;
END $$;

SELECT "keep_treasuries_apart"();
