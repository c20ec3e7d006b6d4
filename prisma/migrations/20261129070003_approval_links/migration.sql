-- One-time links by which a named approver decides about a waiting payment (docs/adr/0084-approval-links.md). Only a hash of
-- a link is kept.
CREATE TABLE "approval_links" (
    "treasury_id" TEXT NOT NULL,
    "link_hash" TEXT NOT NULL,
    "payment_id" TEXT NOT NULL,
    "approver" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "used_at" TIMESTAMPTZ(3),

    CONSTRAINT "approval_links_pkey" PRIMARY KEY ("treasury_id", "link_hash")
);
CREATE INDEX "approval_links_link_hash_idx" ON "approval_links"("link_hash");
ALTER TABLE "approval_links" ADD CONSTRAINT "approval_links_treasury_id_payment_id_fkey" FOREIGN KEY ("treasury_id", "payment_id") REFERENCES "payments"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;

SELECT "keep_treasuries_apart"();
