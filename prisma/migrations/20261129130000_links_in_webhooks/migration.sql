-- Links also let their approver decide about a raise, and are sent to the approver's own webhook
-- (docs/adr/0089-links-in-webhooks.md).
ALTER TABLE "approval_links" ALTER COLUMN "payment_id" DROP NOT NULL;
ALTER TABLE "approval_links" ADD COLUMN "grant_request_id" TEXT;
ALTER TABLE "approval_links" ADD CONSTRAINT "approval_links_one_subject"
    CHECK (("payment_id" IS NULL) <> ("grant_request_id" IS NULL));
ALTER TABLE "approval_links" ADD CONSTRAINT "approval_links_treasury_id_grant_request_id_fkey" FOREIGN KEY ("treasury_id", "grant_request_id") REFERENCES "grant_requests"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;

ALTER TABLE "webhooks" ADD COLUMN "approver" JSONB;
