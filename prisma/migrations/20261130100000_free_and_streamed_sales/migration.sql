-- A request of a payer's free ones is called and answered, and never charged for. A streamed answer is charged for when it begins:
-- one that is not charged for then is cut off.
ALTER TABLE "gateway_sales" DROP CONSTRAINT "gateway_sales_order";
ALTER TABLE "gateway_sales" ADD CONSTRAINT "gateway_sales_order" CHECK (
  CASE "settle"
    WHEN 'after' THEN CASE "charge"
      WHEN 'none' THEN "call" IN ('calling', 'failed', 'lost')
      ELSE "call" = 'answered' AND "charge" IN ('settling', 'unknown', 'settled', 'refused')
    END
    WHEN 'before' THEN CASE "charge"
      WHEN 'settled' THEN "call" IN ('none', 'calling', 'answered', 'failed', 'lost')
      ELSE "call" = 'none' AND "charge" IN ('settling', 'unknown', 'refused')
    END
    WHEN 'first_byte' THEN CASE "charge"
      WHEN 'none' THEN "call" IN ('calling', 'failed', 'lost')
      WHEN 'settling' THEN "call" = 'calling'
      WHEN 'settled' THEN "call" IN ('calling', 'answered', 'failed', 'lost')
      ELSE "call" = 'lost' AND "charge" IN ('unknown', 'refused')
    END
    WHEN 'free' THEN "charge" = 'none' AND "call" IN ('calling', 'answered', 'failed', 'lost') AND "sealed_payment" IS NULL
    ELSE false
  END
);
ALTER TABLE "gateway_sales" DROP CONSTRAINT "gateway_sales_ended";
ALTER TABLE "gateway_sales" ADD CONSTRAINT "gateway_sales_ended" CHECK (
  ("ended_at" IS NOT NULL) = (
    "charge" = 'refused' OR ("charge" IN ('none', 'settled') AND "call" IN ('answered', 'failed', 'lost'))
  )
);

-- How many of a payer's free requests of a day (UTC) were taken.
CREATE TABLE "gateway_free_uses" (
    "treasury_id" TEXT NOT NULL,
    "payer" TEXT NOT NULL,
    "day" DATE NOT NULL,
    "used" INTEGER NOT NULL,

    CONSTRAINT "gateway_free_uses_pkey" PRIMARY KEY ("treasury_id", "payer", "day")
);
ALTER TABLE "gateway_free_uses" ADD CONSTRAINT "gateway_free_uses_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;
ALTER TABLE "gateway_free_uses" ADD CONSTRAINT "gateway_free_uses_count" CHECK ("used" >= 0);

-- How many unpaid requests of an operation were answered with a 402, a day (UTC).
CREATE TABLE "gateway_asks" (
    "treasury_id" TEXT NOT NULL,
    "operation" TEXT NOT NULL,
    "day" DATE NOT NULL,
    "asked" BIGINT NOT NULL,

    CONSTRAINT "gateway_asks_pkey" PRIMARY KEY ("treasury_id", "operation", "day")
);
ALTER TABLE "gateway_asks" ADD CONSTRAINT "gateway_asks_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;
ALTER TABLE "gateway_asks" ADD CONSTRAINT "gateway_asks_count" CHECK ("asked" > 0);

SELECT "keep_treasuries_apart"();
