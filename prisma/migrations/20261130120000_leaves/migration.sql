-- Places in the log, apart from the events (docs/adr/0105-leaves.md). Sealing set a column of each event: Postgres wrote the
-- whole row and six entries of indexes anew. A narrow row for each leaf costs a quarter of that, and an event never changes.

-- The view below needs it: on an older server row-level security would not hold for its reader.
DO $$
BEGIN
  IF current_setting('server_version_num')::int < 150000 THEN
    RAISE EXCEPTION 'Bursar needs Postgres 15 or newer, and this is %: upgrade the server first', current_setting('server_version');
  END IF;
END $$;

-- The place of an event in its treasury's log. No foreign keys: each would be looked up and locked for every leaf.
-- `bursar check` finds a leaf without an event, and an event without a leaf that does not wait for one.
CREATE TABLE "leaves" (
    "treasury_id" TEXT NOT NULL,
    "leaf_index" BIGINT NOT NULL,
    "seq" BIGINT NOT NULL,

    CONSTRAINT "leaves_pkey" PRIMARY KEY ("treasury_id", "leaf_index")
);

-- Events that wait for their place.
CREATE TABLE "unsealed_events" (
    "treasury_id" TEXT NOT NULL,
    "seq" BIGINT NOT NULL,

    CONSTRAINT "unsealed_events_pkey" PRIMARY KEY ("treasury_id", "seq")
);

INSERT INTO "leaves" SELECT "treasury_id", "leaf_index", "seq" FROM "events" WHERE "leaf_index" IS NOT NULL;
INSERT INTO "unsealed_events" SELECT "treasury_id", "seq" FROM "events" WHERE "leaf_index" IS NULL;
CREATE UNIQUE INDEX "leaves_treasury_id_seq_key" ON "leaves"("treasury_id", "seq");
ALTER TABLE "leaves" ADD CONSTRAINT "leaves_bounds" CHECK ("leaf_index" >= 0);

-- With the column go its two indexes.
DROP TRIGGER "events_no_rewrite" ON "events";
ALTER TABLE "events" DROP COLUMN "leaf_index";
DROP INDEX "events_treasury_id_seq_idx";
CREATE UNIQUE INDEX "events_treasury_id_seq_key" ON "events"("treasury_id", "seq");

-- I8: an event and its place stay.
CREATE TRIGGER "events_no_rewrite" BEFORE UPDATE ON "events"
  FOR EACH ROW EXECUTE FUNCTION "events_append_only"();
CREATE TRIGGER "leaves_no_rewrite" BEFORE UPDATE OR DELETE ON "leaves"
  FOR EACH ROW EXECUTE FUNCTION "log_fixed"();
CREATE TRIGGER "leaves_no_truncate" BEFORE TRUNCATE ON "leaves"
  FOR EACH STATEMENT EXECUTE FUNCTION "never_truncated"();

-- Whoever writes an event, it waits to be sealed.
CREATE FUNCTION "events_wait_for_sealing"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO "unsealed_events" SELECT "treasury_id", "seq" FROM "written";
  RETURN NULL;
END $$;
CREATE TRIGGER "events_unsealed" AFTER INSERT ON "events"
  REFERENCING NEW TABLE AS "written" FOR EACH STATEMENT EXECUTE FUNCTION "events_wait_for_sealing"();

-- Events with their places; `leaf_index` is null until an event is sealed. Row-level security holds for the reader.
-- Its columns are those that events have here: a migration that adds one makes the view anew.
CREATE VIEW "log_events" WITH (security_invoker = true) AS
  SELECT e.*, l."leaf_index" FROM "events" e
  LEFT JOIN "leaves" l ON l."treasury_id" = e."treasury_id" AND l."seq" = e."seq";

SELECT "keep_treasuries_apart"();
