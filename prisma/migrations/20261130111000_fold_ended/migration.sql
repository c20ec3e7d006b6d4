-- The sums of reports count ended payments and refusals only (docs/adr/0082-reports.md). Reports read open payments
-- from their rows, so the sums of the open statuses are deleted. The other sums stay as they are.

-- Dropped first: its lock waits for a fold that is running, so that the DELETE sees what that fold wrote.
ALTER TABLE "spend_hours" DROP CONSTRAINT "spend_hours_bounds";

DELETE FROM "spend_hours" WHERE "status" IN ('authorized', 'pending_approval');

ALTER TABLE "spend_hours" ADD CONSTRAINT "spend_hours_bounds" CHECK (
  "payments" >= 0 AND "amount" >= 0 AND "hour" = date_trunc('hour', "hour", 'UTC')
  AND "status" IN ('settled', 'released', 'cancelled', 'rejected', 'refused')
);
