-- The end of the fence that an admin or a restore has put up. A fence that only a sighting has put up falls with the
-- sighting (ADR 106). Of the fences that stand, nobody knows who put them up: they stay.
ALTER TABLE "treasuries" ADD COLUMN "fence_announced_until" TIMESTAMPTZ(3);
UPDATE "treasuries" SET "fence_announced_until" = "fenced_until";
