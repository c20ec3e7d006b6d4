-- The decimals that amounts of each currency are stored with. The configuration may stop naming a currency,
-- but may never count it differently: the same number of atomic units would be another amount of money.

-- CreateTable
CREATE TABLE "currencies" (
    "code" TEXT NOT NULL,
    "decimals" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "currencies_pkey" PRIMARY KEY ("code")
);

ALTER TABLE "currencies" ADD CONSTRAINT "currencies_bounds"
  CHECK ("code" ~ '^[A-Za-z0-9.]{1,16}$' AND "decimals" BETWEEN 0 AND 30);

-- The only currency there was before this table.
INSERT INTO "currencies" ("code", "decimals") VALUES ('USDC', 6);

SELECT "keep_treasuries_apart"();
