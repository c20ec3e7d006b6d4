-- The prices that gateways of an API served last, so that one that starts anew keeps what was quoted before.
CREATE TABLE "gateway_prices" (
    "treasury_id" TEXT NOT NULL,
    "upstream" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "prices" JSONB NOT NULL,
    "served_from" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "gateway_prices_pkey" PRIMARY KEY ("treasury_id", "upstream", "hash")
);
ALTER TABLE "gateway_prices" ADD CONSTRAINT "gateway_prices_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;

SELECT "keep_treasuries_apart"();
