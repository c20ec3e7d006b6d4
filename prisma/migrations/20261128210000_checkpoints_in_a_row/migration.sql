-- Each checkpoint names the one before it, so that `bursar check` misses one that is dropped.

-- AlterTable
ALTER TABLE "log_checkpoints" ADD COLUMN "previous" BIGINT;

-- The trigger guards what was shown; which one came before is new.
ALTER TABLE "log_checkpoints" DISABLE TRIGGER USER;
UPDATE "log_checkpoints" c SET "previous" = coalesce((
  SELECT max(b."size") FROM "log_checkpoints" b
  WHERE b."treasury_id" = c."treasury_id" AND b."size" < c."size"), 0);
ALTER TABLE "log_checkpoints" ENABLE TRIGGER USER;

ALTER TABLE "log_checkpoints" ALTER COLUMN "previous" SET NOT NULL;
ALTER TABLE "log_checkpoints" ADD CONSTRAINT "log_checkpoints_step" CHECK ("previous" >= 0 AND "previous" < "size");
