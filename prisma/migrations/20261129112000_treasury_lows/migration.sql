-- Funds of treasuries that are low and were told (docs/adr/0097-treasury-low.md).
CREATE TABLE "treasury_lows" (
    "treasury_id" TEXT NOT NULL,
    "network" TEXT NOT NULL,
    "currency" TEXT NOT NULL,
    "since" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "treasury_lows_pkey" PRIMARY KEY ("treasury_id", "network", "currency")
);
ALTER TABLE "treasury_lows" ADD CONSTRAINT "treasury_lows_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;

SELECT "keep_treasuries_apart"();
