-- The hash chain gives way to a Merkle tree per treasury with signed checkpoints (docs/adr/0020). Records
-- and leaf indexes stay as they are; the first sealing builds the tree over what was sealed before.

-- AlterTable
DROP TRIGGER "events_no_rewrite" ON "events";
ALTER TABLE "events" DROP CONSTRAINT "events_sealed";
ALTER TABLE "events" DROP COLUMN "chain_hash";

-- CreateTable
CREATE TABLE "log_keys" (
    "treasury_id" TEXT NOT NULL,
    "public_key" BYTEA NOT NULL,
    "sealed_private" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "log_keys_pkey" PRIMARY KEY ("treasury_id")
);

-- CreateTable
CREATE TABLE "log_tiles" (
    "treasury_id" TEXT NOT NULL,
    "level" INTEGER NOT NULL,
    "index" BIGINT NOT NULL,
    "hashes" BYTEA NOT NULL,

    CONSTRAINT "log_tiles_pkey" PRIMARY KEY ("treasury_id","level","index")
);

-- CreateTable
CREATE TABLE "log_checkpoints" (
    "treasury_id" TEXT NOT NULL,
    "size" BIGINT NOT NULL,
    "note" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "log_checkpoints_pkey" PRIMARY KEY ("treasury_id","size")
);

-- CreateTable
CREATE TABLE "log_witnesses" (
    "treasury_id" TEXT NOT NULL,
    "witness" TEXT NOT NULL,
    "size" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "log_witnesses_pkey" PRIMARY KEY ("treasury_id","witness")
);

-- CreateTable
CREATE TABLE "refusal_tallies" (
    "treasury_id" TEXT NOT NULL,
    "grant_id" TEXT NOT NULL,
    "code" TEXT NOT NULL,
    "since" TIMESTAMPTZ(3) NOT NULL,
    "written" INTEGER NOT NULL,
    "counted" BIGINT NOT NULL,
    "last_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "refusal_tallies_pkey" PRIMARY KEY ("treasury_id","grant_id","code")
);

-- CreateIndex
CREATE INDEX "events_unsealed_idx" ON "events"("treasury_id", "seq") WHERE (leaf_index IS NULL);

-- CreateIndex
CREATE INDEX "refusal_tallies_since_idx" ON "refusal_tallies"("since");

-- AddForeignKey
ALTER TABLE "log_keys" ADD CONSTRAINT "log_keys_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "log_tiles" ADD CONSTRAINT "log_tiles_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "log_checkpoints" ADD CONSTRAINT "log_checkpoints_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "log_witnesses" ADD CONSTRAINT "log_witnesses_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "refusal_tallies" ADD CONSTRAINT "refusal_tallies_treasury_id_grant_id_fkey" FOREIGN KEY ("treasury_id", "grant_id") REFERENCES "grants"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;


-- Every column but the place in the log, one by one: turning both rows into JSON took longer than all
-- the rest of sealing. A new column of events is named here too.
CREATE TRIGGER "events_no_rewrite" BEFORE UPDATE ON "events"
  FOR EACH ROW WHEN (
    OLD."leaf_index" IS NOT NULL OR
    (OLD."treasury_id", OLD."id", OLD."seq", OLD."kind", OLD."actor", OLD."grant_id", OLD."payment_id", OLD."record", OLD."created_at")
      IS DISTINCT FROM
    (NEW."treasury_id", NEW."id", NEW."seq", NEW."kind", NEW."actor", NEW."grant_id", NEW."payment_id", NEW."record", NEW."created_at")
  ) EXECUTE FUNCTION "events_append_only"();

ALTER TABLE "log_keys" ADD CONSTRAINT "log_keys_public_key" CHECK (octet_length("public_key") = 32);
ALTER TABLE "log_tiles" ADD CONSTRAINT "log_tiles_hashes" CHECK (
  "level" >= 0 AND "index" >= 0
  AND octet_length("hashes") BETWEEN 32 AND 8192 AND octet_length("hashes") % 32 = 0
);
ALTER TABLE "log_checkpoints" ADD CONSTRAINT "log_checkpoints_size" CHECK ("size" > 0);
ALTER TABLE "refusal_tallies" ADD CONSTRAINT "refusal_tallies_bounds" CHECK ("written" >= 0 AND "counted" >= 0);

-- I8: what was signed stays, and a tile only grows.
CREATE FUNCTION "log_fixed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a row of % is part of the audit log and cannot change so', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "log_checkpoints_no_rewrite" BEFORE UPDATE OR DELETE ON "log_checkpoints"
  FOR EACH ROW EXECUTE FUNCTION "log_fixed"();
CREATE TRIGGER "log_checkpoints_no_truncate" BEFORE TRUNCATE ON "log_checkpoints"
  FOR EACH STATEMENT EXECUTE FUNCTION "never_truncated"();
CREATE TRIGGER "log_tiles_no_rewrite" BEFORE UPDATE ON "log_tiles"
  FOR EACH ROW WHEN (
    (OLD."treasury_id", OLD."level", OLD."index") <> (NEW."treasury_id", NEW."level", NEW."index")
    OR substring(NEW."hashes" FROM 1 FOR octet_length(OLD."hashes")) <> OLD."hashes"
  ) EXECUTE FUNCTION "log_fixed"();
CREATE TRIGGER "log_tiles_no_delete" BEFORE DELETE ON "log_tiles"
  FOR EACH ROW EXECUTE FUNCTION "log_fixed"();
CREATE TRIGGER "log_tiles_no_truncate" BEFORE TRUNCATE ON "log_tiles"
  FOR EACH STATEMENT EXECUTE FUNCTION "never_truncated"();
-- The private half may be sealed anew, under another master secret.
CREATE TRIGGER "log_keys_no_rewrite" BEFORE UPDATE ON "log_keys"
  FOR EACH ROW WHEN ((OLD."treasury_id", OLD."public_key") <> (NEW."treasury_id", NEW."public_key"))
  EXECUTE FUNCTION "log_fixed"();
CREATE TRIGGER "log_keys_no_delete" BEFORE DELETE ON "log_keys"
  FOR EACH ROW EXECUTE FUNCTION "log_fixed"();
