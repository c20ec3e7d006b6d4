-- What a settlement moved is a number of its own: a scheme may let a payment settle for less than was signed. The scheme
-- `exact` pays the whole.

DROP TRIGGER "payments_no_rewrite" ON "payments";

-- AlterTable
ALTER TABLE "payments" ADD COLUMN "paid" DECIMAL(78,0) NOT NULL DEFAULT 0;

ALTER TABLE "payments" DISABLE TRIGGER USER;
UPDATE "payments" SET "paid" = "amount" WHERE "status" = 'settled';
ALTER TABLE "payments" ENABLE TRIGGER USER;

ALTER TABLE "payments" ADD CONSTRAINT "payments_paid" CHECK (
  "paid" >= 0
  AND ("paid" = 0 OR ("status" = 'settled' AND "paid" <= "amount"))
  AND ("status" <> 'settled' OR "scheme" <> 'exact' OR "paid" = "amount")
);

CREATE TRIGGER "payments_no_rewrite" BEFORE UPDATE ON "payments"
  FOR EACH ROW WHEN (
    OLD."status" = 'authorized' AND to_jsonb(OLD) - ARRAY['status', 'paid', 'transaction', 'block_number', 'ended_at']
      <> to_jsonb(NEW) - ARRAY['status', 'paid', 'transaction', 'block_number', 'ended_at']
  ) EXECUTE FUNCTION "payments_fixed"();
