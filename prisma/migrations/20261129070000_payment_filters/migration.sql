-- Lists of payments filter by payee, host and time (docs/adr/0082-reports.md). A host is that of the URL the agent asked, as
-- URL.hostname has it; the service writes it. A host with percent-encoded or non-ASCII characters is not normalised here.
ALTER TABLE "payments" ADD COLUMN "host" TEXT;

ALTER TABLE "payments" DISABLE TRIGGER USER;
UPDATE "payments" SET "host" = lower(substring("request_url" FROM '^[A-Za-z]+://(\[[^]]*\]|[^/?#:]+)'));
ALTER TABLE "payments" ENABLE TRIGGER USER;

CREATE INDEX "payments_treasury_id_created_at_id_idx" ON "payments"("treasury_id", "created_at", "id");
CREATE INDEX "payments_treasury_id_pay_to_created_at_id_idx" ON "payments"("treasury_id", "pay_to", "created_at", "id");
CREATE INDEX "payments_treasury_id_host_created_at_id_idx" ON "payments"("treasury_id", "host", "created_at", "id");
-- Lists are in the order of time; within a grant this index has that order.
DROP INDEX "payments_treasury_id_grant_id_id_idx";
CREATE INDEX "payments_treasury_id_grant_id_created_at_id_idx" ON "payments"("treasury_id", "grant_id", "created_at", "id");
