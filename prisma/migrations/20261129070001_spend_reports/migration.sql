-- Reports of spend (docs/adr/0082-reports.md): sums by hour, folded from the sealed log by a worker. No payment waits for
-- them, and whatever is not folded yet is read from the events themselves, so that a report is exact at any time.

-- What a sum is of. A refusal that names no payee, network or host has '' there, and so has an adopted payment's host.
CREATE TABLE "spend_series" (
    "treasury_id" TEXT NOT NULL,
    "id" BIGSERIAL NOT NULL,
    "grant_id" TEXT NOT NULL,
    "network" TEXT NOT NULL,
    "pay_to" TEXT NOT NULL,
    "host" TEXT NOT NULL,

    CONSTRAINT "spend_series_pkey" PRIMARY KEY ("treasury_id", "id")
);
CREATE UNIQUE INDEX "spend_series_treasury_id_grant_id_network_pay_to_host_key" ON "spend_series"("treasury_id", "grant_id", "network", "pay_to", "host");
ALTER TABLE "spend_series" ADD CONSTRAINT "spend_series_treasury_id_grant_id_fkey" FOREIGN KEY ("treasury_id", "grant_id") REFERENCES "grants"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- Payments by the hour they were made in and the status they have now; refusals by the hour of their event.
CREATE TABLE "spend_hours" (
    "treasury_id" TEXT NOT NULL,
    "series_id" BIGINT NOT NULL,
    "hour" TIMESTAMPTZ(3) NOT NULL,
    "status" TEXT NOT NULL,
    "payments" BIGINT NOT NULL,
    "amount" DECIMAL(78,0) NOT NULL,

    CONSTRAINT "spend_hours_pkey" PRIMARY KEY ("treasury_id", "series_id", "hour", "status")
);
CREATE INDEX "spend_hours_treasury_id_hour_idx" ON "spend_hours"("treasury_id", "hour");
ALTER TABLE "spend_hours" ADD CONSTRAINT "spend_hours_bounds" CHECK (
  "payments" >= 0 AND "amount" >= 0 AND "hour" = date_trunc('hour', "hour", 'UTC')
);

-- The leaf of each log at which the fold goes on.
CREATE TABLE "spend_cursors" (
    "treasury_id" TEXT NOT NULL,
    "leaf_index" BIGINT NOT NULL,

    CONSTRAINT "spend_cursors_pkey" PRIMARY KEY ("treasury_id")
);
ALTER TABLE "spend_cursors" ADD CONSTRAINT "spend_cursors_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;
ALTER TABLE "spend_cursors" ADD CONSTRAINT "spend_cursors_bounds" CHECK ("leaf_index" >= 0);

-- The refusals of part of an hour, which a report reads from the events.
CREATE INDEX "events_refusals" ON "events"("treasury_id", "created_at") WHERE (kind = ANY (ARRAY['payment.refused'::text, 'payment.refused_more'::text]));

SELECT "keep_treasuries_apart"();
