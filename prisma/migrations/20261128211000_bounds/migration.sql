-- What callers create is charged to their grant and every grant above it, and to the treasury (docs/adr/0043).

ALTER TABLE "grants"
  ADD COLUMN "waiting" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "counted_out_at" TIMESTAMPTZ(3);

UPDATE "grants" g SET "waiting" = s."waiting"
FROM (
  SELECT o."treasury_id", e."id", count(*) AS "waiting"
  FROM "payments" p JOIN "grants" o ON o."treasury_id" = p."treasury_id" AND o."id" = p."grant_id"
  CROSS JOIN LATERAL unnest(o."path") AS e ("id")
  WHERE p."status" = 'pending_approval' GROUP BY o."treasury_id", e."id") s
WHERE g."treasury_id" = s."treasury_id" AND g."id" = s."id";

ALTER TABLE "grants" ADD CONSTRAINT "grants_waiting" CHECK ("waiting" >= 0);

-- The expired grants that still count as alive above them.
CREATE INDEX "grants_to_count_out" ON "grants"("expires_at") WHERE (counted_out_at IS NULL);

CREATE TABLE "treasury_usage" (
    "treasury_id" TEXT NOT NULL,
    "alive" INTEGER NOT NULL DEFAULT 0,
    "waiting" INTEGER NOT NULL DEFAULT 0,
    "open_payments" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "treasury_usage_pkey" PRIMARY KEY ("treasury_id")
);
ALTER TABLE "treasury_usage" ADD CONSTRAINT "treasury_usage_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;
ALTER TABLE "treasury_usage" ADD CONSTRAINT "treasury_usage_bounds" CHECK (
  "alive" >= 0 AND "waiting" >= 0 AND "open_payments" >= 0
);

INSERT INTO "treasury_usage" ("treasury_id", "alive", "waiting", "open_payments")
SELECT t."id", coalesce(sum(g."alive"), 0), coalesce(sum(g."waiting"), 0), coalesce(sum(g."open_payments"), 0)
FROM "treasuries" t LEFT JOIN "grants" g ON g."treasury_id" = t."id" AND g."parent_id" IS NULL
GROUP BY t."id";

-- Every treasury has its row from the start: the ledger only ever updates it.
CREATE FUNCTION "treasuries_have_usage"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO "treasury_usage" ("treasury_id") VALUES (NEW."id");
  RETURN NULL;
END $$;
CREATE TRIGGER "treasuries_have_usage" AFTER INSERT ON "treasuries"
  FOR EACH ROW EXECUTE FUNCTION "treasuries_have_usage"();

-- How much a subject (a grant with all below it, or the treasury) has made in the hour since it began.
CREATE TABLE "creation_meters" (
    "treasury_id" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "since" TIMESTAMPTZ(3) NOT NULL,
    "events" INTEGER NOT NULL,
    "bytes" BIGINT NOT NULL,

    CONSTRAINT "creation_meters_pkey" PRIMARY KEY ("treasury_id","subject")
);
ALTER TABLE "creation_meters" ADD CONSTRAINT "creation_meters_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;
ALTER TABLE "creation_meters" ADD CONSTRAINT "creation_meters_bounds" CHECK ("events" >= 0 AND "bytes" >= 0);

SELECT "keep_treasuries_apart"();
