-- Catalogs of priced services (docs/adr/0095-catalog.md): origins that an admin subscribed to, and what they list.
CREATE TABLE "catalogs" (
    "treasury_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "url" TEXT NOT NULL,
    "description" TEXT,
    "sources" JSONB NOT NULL DEFAULT '[]',
    "read_at" TIMESTAMPTZ(3),
    "next_at" TIMESTAMPTZ(3) NOT NULL,
    "lease" TEXT,
    "lease_until" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "catalogs_pkey" PRIMARY KEY ("treasury_id", "id")
);
ALTER TABLE "catalogs" ADD CONSTRAINT "catalogs_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;
CREATE INDEX "catalogs_id_idx" ON "catalogs"("id");
CREATE UNIQUE INDEX "catalogs_treasury_id_url_key" ON "catalogs"("treasury_id", "url");

-- One row for each operation and each way to pay it. Network and asset are null where a document names no token, and so
-- is the payee where it names none.
CREATE TABLE "services" (
    "treasury_id" TEXT NOT NULL,
    "id" BIGSERIAL NOT NULL,
    "catalog_id" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "method" TEXT NOT NULL,
    "url" TEXT NOT NULL,
    "origin" TEXT NOT NULL,
    "origin_above" TEXT,
    "host" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "is_unambiguous" BOOLEAN NOT NULL,
    "first_hand" BOOLEAN NOT NULL,
    "network" TEXT,
    "asset" TEXT,
    "pay_to" TEXT,
    "currency" TEXT NOT NULL,
    "amount" DECIMAL(78,0) NOT NULL,
    "name" TEXT NOT NULL,
    "description" TEXT NOT NULL,
    "words" TSVECTOR NOT NULL,
    "settled" BIGINT NOT NULL DEFAULT 0,
    "released" BIGINT NOT NULL DEFAULT 0,
    "rank" DECIMAL(90,0) NOT NULL,
    "seen_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "services_pkey" PRIMARY KEY ("treasury_id", "id")
);
ALTER TABLE "services" ADD CONSTRAINT "services_treasury_id_catalog_id_fkey" FOREIGN KEY ("treasury_id", "catalog_id") REFERENCES "catalogs"("treasury_id", "id") ON DELETE CASCADE ON UPDATE NO ACTION;
ALTER TABLE "services" ADD CONSTRAINT "services_bounds" CHECK (
  "amount" > 0 AND "rank" >= 0 AND "settled" >= 0 AND "released" >= 0
  AND ("network" IS NULL) = ("asset" IS NULL) AND ("network" IS NOT NULL OR "pay_to" IS NULL)
);
-- The order of a list, what a narrow scope asks for, and what a quote is compared with.
CREATE INDEX "services_treasury_id_rank_id_idx" ON "services"("treasury_id", "rank", "id");
CREATE INDEX "services_treasury_id_origin_idx" ON "services"("treasury_id", "origin");
CREATE INDEX "services_treasury_id_url_idx" ON "services"("treasury_id", "url");
CREATE INDEX "services_treasury_id_catalog_id_source_idx" ON "services"("treasury_id", "catalog_id", "source");
CREATE INDEX "services_treasury_id_host_idx" ON "services"("treasury_id", "host");
CREATE INDEX "services_words_idx" ON "services" USING GIN ("words");

-- A policy of row-level security lets Postgres use no index on words (the operator is not leakproof), and is asked for
-- every row. A search goes through this view: it sees the same treasuries, and asks once.
CREATE VIEW "services_seen" AS SELECT * FROM "services" WHERE "treasury_id" = ANY (ARRAY(
  SELECT "id" FROM "treasuries" WHERE current_setting('bursar.treasuries', true) = '*'
    OR "id" = ANY (string_to_array(current_setting('bursar.treasuries', true), ','))
)) WITH CASCADED CHECK OPTION;

SELECT "keep_treasuries_apart"();
