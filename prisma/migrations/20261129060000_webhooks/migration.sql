-- Webhooks and their deliveries (docs/adr/0086-webhooks.md).
CREATE TABLE "webhooks" (
    "treasury_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "owner_id" TEXT,
    "root_id" TEXT,
    "grant_id" TEXT,
    "url" TEXT NOT NULL,
    "kinds" TEXT[],
    "description" TEXT,
    "status" TEXT NOT NULL DEFAULT 'active',
    "status_reason" TEXT,
    "secret" TEXT NOT NULL,
    "old_secret" TEXT,
    "old_secret_until" TIMESTAMPTZ(3),
    "place" BIGINT NOT NULL,
    "failing_since" TIMESTAMPTZ(3),
    "lease" TEXT,
    "lease_until" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "created_by" TEXT NOT NULL,

    CONSTRAINT "webhooks_pkey" PRIMARY KEY ("treasury_id", "id")
);
ALTER TABLE "webhooks" ADD CONSTRAINT "webhooks_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;
CREATE INDEX "webhooks_id_idx" ON "webhooks"("id");
ALTER TABLE "webhooks" ADD CONSTRAINT "webhooks_status" CHECK ("status" IN ('active', 'paused', 'ended') AND "place" >= 0 AND "kinds" IS NOT NULL);

CREATE TABLE "webhook_deliveries" (
    "treasury_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "webhook_id" TEXT NOT NULL,
    "event_id" TEXT,
    "leaf_index" BIGINT,
    "kind" TEXT NOT NULL,
    "origin" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'pending',
    "tries" INTEGER NOT NULL DEFAULT 0,
    "attempts" JSONB NOT NULL DEFAULT '[]',
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "first_at" TIMESTAMPTZ(3),
    "next_at" TIMESTAMPTZ(3),

    CONSTRAINT "webhook_deliveries_pkey" PRIMARY KEY ("treasury_id", "id")
);
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_treasury_id_webhook_id_fkey" FOREIGN KEY ("treasury_id", "webhook_id") REFERENCES "webhooks"("treasury_id", "id") ON DELETE CASCADE ON UPDATE NO ACTION;
CREATE INDEX "webhook_deliveries_treasury_id_webhook_id_id_idx" ON "webhook_deliveries"("treasury_id", "webhook_id", "id");
-- What is still to be sent, in the order of the log.
CREATE INDEX "webhook_deliveries_pending" ON "webhook_deliveries"("treasury_id", "webhook_id", "origin", "leaf_index") WHERE (status = 'pending'::text);
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_status" CHECK (
  "status" IN ('pending', 'delivered', 'dead') AND "origin" IN ('log', 'redelivery', 'replay', 'test')
  AND ("status" = 'pending') = ("next_at" IS NOT NULL) AND ("event_id" IS NULL) = ("origin" = 'test')
);
-- A place of the log is delivered by its order once.
CREATE UNIQUE INDEX "webhook_deliveries_in_order" ON "webhook_deliveries"("treasury_id", "webhook_id", "leaf_index") WHERE (origin = 'log'::text);

SELECT "keep_treasuries_apart"();
