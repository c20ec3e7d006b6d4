-- What the gateway sells, and who may work on it (docs/adr/0091-one-credential-one-call.md).

-- Gateways that run: one that was not seen for some seconds is dead, and what it had begun is taken over.
CREATE TABLE "gateway_processes" (
    "treasury_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "seen_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "gateway_processes_pkey" PRIMARY KEY ("treasury_id", "id")
);
ALTER TABLE "gateway_processes" ADD CONSTRAINT "gateway_processes_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;

CREATE TABLE "gateway_sales" (
    "treasury_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "network" TEXT NOT NULL,
    "asset" TEXT NOT NULL,
    "payer" TEXT NOT NULL,
    "nonce" TEXT NOT NULL,
    "credential_hash" TEXT NOT NULL,
    "request_hash" TEXT NOT NULL,
    "operation" TEXT NOT NULL,
    "resource" TEXT NOT NULL,
    "pay_to" TEXT NOT NULL,
    "currency" TEXT NOT NULL,
    "amount" NUMERIC(78,0) NOT NULL,
    "valid_before" BIGINT NOT NULL,
    "settle" TEXT NOT NULL,
    "config_hash" TEXT NOT NULL,
    "call" TEXT NOT NULL,
    "charge" TEXT NOT NULL,
    "status_code" INTEGER,
    "transaction" TEXT,
    "reason" TEXT,
    "sealed_payment" TEXT,
    "process" TEXT NOT NULL,
    "next_try_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "gateway_sales_pkey" PRIMARY KEY ("treasury_id", "id")
);
ALTER TABLE "gateway_sales" ADD CONSTRAINT "gateway_sales_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;
-- One credential is one sale, of whichever treasury: what the chain takes once is sold for once.
CREATE UNIQUE INDEX "gateway_sales_credential" ON "gateway_sales"("network", "payer", "nonce", "asset");
CREATE INDEX "gateway_sales_treasury_id_created_at_idx" ON "gateway_sales"("treasury_id", "created_at");
-- What is under way, for whoever takes over from a process that died.
CREATE INDEX "gateway_sales_open" ON "gateway_sales"("treasury_id", "process") WHERE (ended_at IS NULL);
-- The order of a sale: a call that failed or got lost is never charged for when the charge comes after it, and no call is
-- made before the charge when the charge comes first.
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
    ELSE false
  END
);
ALTER TABLE "gateway_sales" ADD CONSTRAINT "gateway_sales_ended" CHECK (
  ("ended_at" IS NOT NULL) = (
    "charge" = 'refused' OR ("charge" = 'none' AND "call" IN ('failed', 'lost'))
    OR ("charge" = 'settled' AND "call" IN ('answered', 'failed', 'lost'))
  )
);
ALTER TABLE "gateway_sales" ADD CONSTRAINT "gateway_sales_amount" CHECK ("amount" > 0 AND "valid_before" > 0);

-- What is sold is a record: who paid what for which request never changes, and a sale that has ended stays ended.
CREATE FUNCTION "gateway_sale_stays"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE'
    AND (NEW.treasury_id, NEW.id, NEW.network, NEW.asset, NEW.payer, NEW.nonce, NEW.credential_hash, NEW.request_hash, NEW.operation,
      NEW.resource, NEW.pay_to, NEW.currency, NEW.amount, NEW.valid_before, NEW.settle, NEW.config_hash, NEW.created_at)
    IS NOT DISTINCT FROM (OLD.treasury_id, OLD.id, OLD.network, OLD.asset, OLD.payer, OLD.nonce, OLD.credential_hash, OLD.request_hash,
      OLD.operation, OLD.resource, OLD.pay_to, OLD.currency, OLD.amount, OLD.valid_before, OLD.settle, OLD.config_hash, OLD.created_at)
    AND (OLD.charge <> 'settled' OR (NEW.charge, NEW.transaction) IS NOT DISTINCT FROM (OLD.charge, OLD.transaction))
    AND (OLD.ended_at IS NULL OR (NEW.call, NEW.charge, NEW.ended_at) IS NOT DISTINCT FROM (OLD.call, OLD.charge, OLD.ended_at))
  THEN RETURN NEW; END IF;
  RAISE EXCEPTION 'sale % is %/% and cannot change so', OLD.id, OLD.call, OLD.charge USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "gateway_sales_stay" BEFORE UPDATE OR DELETE ON "gateway_sales"
  FOR EACH ROW EXECUTE FUNCTION "gateway_sale_stays"();

-- Answers, kept for a while for those that got lost on their way. Sealed under the master secret.
CREATE TABLE "gateway_answers" (
    "treasury_id" TEXT NOT NULL,
    "sale_id" TEXT NOT NULL,
    "sealed" BYTEA NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "gateway_answers_pkey" PRIMARY KEY ("treasury_id", "sale_id")
);
ALTER TABLE "gateway_answers" ADD CONSTRAINT "gateway_answers_treasury_id_sale_id_fkey" FOREIGN KEY ("treasury_id", "sale_id") REFERENCES "gateway_sales"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;
CREATE INDEX "gateway_answers_expires_at_idx" ON "gateway_answers"("expires_at");

-- What is owed to a payer who was charged first and got nothing.
CREATE TABLE "gateway_credit_notes" (
    "treasury_id" TEXT NOT NULL,
    "sale_id" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'waiting',
    "attempt" INTEGER NOT NULL DEFAULT 1,
    "payment_id" TEXT,
    "transaction" TEXT,
    "next_try_at" TIMESTAMPTZ(3) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "gateway_credit_notes_pkey" PRIMARY KEY ("treasury_id", "sale_id")
);
ALTER TABLE "gateway_credit_notes" ADD CONSTRAINT "gateway_credit_notes_treasury_id_sale_id_fkey" FOREIGN KEY ("treasury_id", "sale_id") REFERENCES "gateway_sales"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;
ALTER TABLE "gateway_credit_notes" ADD CONSTRAINT "gateway_credit_notes_status" CHECK (
  "status" IN ('waiting', 'paying', 'refunded') AND ("status" = 'waiting') = ("payment_id" IS NULL)
  AND ("status" = 'refunded') = ("ended_at" IS NOT NULL) AND "attempt" > 0
);

SELECT "keep_treasuries_apart"();
DO $$
BEGIN
  -- A database user who may not make roles has no such role.
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'bursar_service') THEN
    REVOKE DELETE ON "gateway_sales", "gateway_credit_notes" FROM "bursar_service";
  END IF;
END $$;
