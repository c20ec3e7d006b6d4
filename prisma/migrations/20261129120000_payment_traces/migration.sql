-- The trace that a payment was asked for in (docs/adr/0088-traces.md), as W3C's traceparent: its settlement goes on in it.
-- Null while tracing is off. Fixed with the payment's other members by the triggers that are there.
ALTER TABLE "payments" ADD COLUMN "traceparent" TEXT;
ALTER TABLE "payments" ADD CONSTRAINT "payments_traceparent"
  CHECK ("traceparent" ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$');

-- Dead letters are few among the deliveries of a month: metrics count them.
CREATE INDEX "webhook_deliveries_dead" ON "webhook_deliveries"("treasury_id") WHERE (status = 'dead'::text);
