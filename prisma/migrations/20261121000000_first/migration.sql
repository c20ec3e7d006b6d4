-- The first schema. Tables, keys and indexes are what prisma/schema.prisma says; the CHECKs below them
-- are the wall behind the ledger's own decisions: whatever the code does, a row that breaks an invariant
-- cannot be written (docs/architecture.md, "Invariants").

-- CreateTable
CREATE TABLE "treasuries" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "treasuries_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "signing_keys" (
    "kid" TEXT NOT NULL,
    "algorithm" TEXT NOT NULL,
    "public_jwk" JSONB NOT NULL,
    "sealed_private" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "retired_at" TIMESTAMPTZ(3),

    CONSTRAINT "signing_keys_pkey" PRIMARY KEY ("kid")
);

-- CreateTable
CREATE TABLE "wallets" (
    "treasury_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "address" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'active',
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "wallets_pkey" PRIMARY KEY ("treasury_id","id")
);

-- CreateTable
CREATE TABLE "wallet_balances" (
    "treasury_id" TEXT NOT NULL,
    "wallet_id" TEXT NOT NULL,
    "network" TEXT NOT NULL,
    "asset" TEXT NOT NULL,
    "balance" DECIMAL(78,0) NOT NULL DEFAULT 0,
    "reserved" DECIMAL(78,0) NOT NULL DEFAULT 0,
    "block_number" BIGINT NOT NULL DEFAULT 0,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "wallet_balances_pkey" PRIMARY KEY ("treasury_id","wallet_id","network","asset")
);

-- CreateTable
CREATE TABLE "grants" (
    "treasury_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "parent_id" TEXT,
    "root_id" TEXT NOT NULL,
    "path" TEXT[],
    "depth" INTEGER NOT NULL,
    "holder" TEXT NOT NULL,
    "currency" TEXT NOT NULL,
    "budget" DECIMAL(78,0) NOT NULL,
    "max_per_payment" DECIMAL(78,0),
    "max_payments" INTEGER,
    "scope" JSONB NOT NULL,
    "starts_at" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "delegation_depth" INTEGER NOT NULL,
    "funding" TEXT NOT NULL,
    "purpose" TEXT,
    "labels" JSONB NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'active',
    "status_reason" TEXT,
    "revoked_at" TIMESTAMPTZ(3),
    "token_generation" INTEGER NOT NULL DEFAULT 1,
    "minted_by" TEXT NOT NULL,
    "mint_key" TEXT,
    "mint_hash" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "reserved" DECIMAL(78,0) NOT NULL DEFAULT 0,
    "spent" DECIMAL(78,0) NOT NULL DEFAULT 0,
    "allocated" DECIMAL(78,0) NOT NULL DEFAULT 0,
    "payments" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "grants_pkey" PRIMARY KEY ("treasury_id","id")
);

-- CreateTable
CREATE TABLE "payments" (
    "treasury_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "grant_id" TEXT NOT NULL,
    "idempotency_key" TEXT NOT NULL,
    "request_hash" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "currency" TEXT NOT NULL,
    "amount" DECIMAL(78,0) NOT NULL,
    "network" TEXT NOT NULL,
    "scheme" TEXT NOT NULL,
    "x402_version" INTEGER NOT NULL,
    "asset" TEXT NOT NULL,
    "pay_to" TEXT NOT NULL,
    "wallet_id" TEXT NOT NULL,
    "payer" TEXT NOT NULL,
    "nonce" TEXT NOT NULL,
    "valid_after" BIGINT NOT NULL,
    "valid_before" BIGINT NOT NULL,
    "requirement" TEXT NOT NULL,
    "resource_echo" TEXT,
    "extensions_echo" TEXT,
    "resource" TEXT NOT NULL,
    "request_method" TEXT NOT NULL,
    "request_url" TEXT NOT NULL,
    "memo" TEXT,
    "decision" TEXT NOT NULL,
    "transaction" TEXT,
    "block_number" BIGINT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "payments_pkey" PRIMARY KEY ("treasury_id","id")
);

-- CreateTable
CREATE TABLE "events" (
    "treasury_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "seq" BIGSERIAL NOT NULL,
    "kind" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "grant_id" TEXT,
    "payment_id" TEXT,
    "record" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "leaf_index" BIGINT,
    "chain_hash" TEXT,

    CONSTRAINT "events_pkey" PRIMARY KEY ("treasury_id","id")
);

-- CreateTable
CREATE TABLE "chain_cursors" (
    "network" TEXT NOT NULL,
    "block_number" BIGINT NOT NULL,
    "block_hash" TEXT NOT NULL,
    "block_time" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "chain_cursors_pkey" PRIMARY KEY ("network")
);

-- CreateIndex
CREATE UNIQUE INDEX "treasuries_name_key" ON "treasuries"("name");

-- CreateIndex
CREATE UNIQUE INDEX "wallets_address_key" ON "wallets"("address");

-- CreateIndex
CREATE UNIQUE INDEX "wallets_treasury_id_position_key" ON "wallets"("treasury_id", "position");

-- CreateIndex
CREATE INDEX "grants_treasury_id_parent_id_id_idx" ON "grants"("treasury_id", "parent_id", "id");

-- CreateIndex
CREATE INDEX "grants_path_idx" ON "grants" USING GIN ("path");

-- CreateIndex
CREATE UNIQUE INDEX "grants_treasury_id_minted_by_mint_key_key" ON "grants"("treasury_id", "minted_by", "mint_key");

-- CreateIndex
CREATE INDEX "payments_network_status_valid_before_idx" ON "payments"("network", "status", "valid_before");

-- CreateIndex
CREATE UNIQUE INDEX "payments_treasury_id_grant_id_idempotency_key_key" ON "payments"("treasury_id", "grant_id", "idempotency_key");

-- CreateIndex
CREATE UNIQUE INDEX "payments_network_asset_payer_nonce_key" ON "payments"("network", "asset", "payer", "nonce");

-- CreateIndex
CREATE INDEX "events_treasury_id_seq_idx" ON "events"("treasury_id", "seq");

-- CreateIndex
CREATE INDEX "events_treasury_id_grant_id_seq_idx" ON "events"("treasury_id", "grant_id", "seq");

-- CreateIndex
CREATE INDEX "events_treasury_id_payment_id_seq_idx" ON "events"("treasury_id", "payment_id", "seq");

-- CreateIndex
CREATE UNIQUE INDEX "events_treasury_id_leaf_index_key" ON "events"("treasury_id", "leaf_index");

-- AddForeignKey
ALTER TABLE "wallets" ADD CONSTRAINT "wallets_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "wallet_balances" ADD CONSTRAINT "wallet_balances_treasury_id_wallet_id_fkey" FOREIGN KEY ("treasury_id", "wallet_id") REFERENCES "wallets"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "grants" ADD CONSTRAINT "grants_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "grants" ADD CONSTRAINT "grants_treasury_id_parent_id_fkey" FOREIGN KEY ("treasury_id", "parent_id") REFERENCES "grants"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "payments" ADD CONSTRAINT "payments_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "payments" ADD CONSTRAINT "payments_treasury_id_grant_id_fkey" FOREIGN KEY ("treasury_id", "grant_id") REFERENCES "grants"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "payments" ADD CONSTRAINT "payments_treasury_id_wallet_id_fkey" FOREIGN KEY ("treasury_id", "wallet_id") REFERENCES "wallets"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;

-- AddForeignKey
ALTER TABLE "events" ADD CONSTRAINT "events_treasury_id_fkey" FOREIGN KEY ("treasury_id") REFERENCES "treasuries"("id") ON DELETE RESTRICT ON UPDATE NO ACTION;


-- Ids are TypeIDs of their kind; an id of another kind in a column is a bug, not data.
ALTER TABLE "treasuries" ADD CONSTRAINT "treasuries_id_kind" CHECK ("id" LIKE 'trs\_%');
ALTER TABLE "wallets" ADD CONSTRAINT "wallets_id_kind" CHECK ("id" LIKE 'wal\_%');
ALTER TABLE "wallets" ADD CONSTRAINT "wallets_status" CHECK ("status" IN ('active', 'draining', 'retired'));

-- Reserved may exceed a balance that somebody drained from outside; it may never be negative.
ALTER TABLE "wallet_balances" ADD CONSTRAINT "wallet_balances_bounds" CHECK ("balance" >= 0 AND "reserved" >= 0);

-- I1: no counter below zero, and what is spent, held and set aside never exceeds the budget.
ALTER TABLE "grants" ADD CONSTRAINT "grants_budget" CHECK (
  "reserved" >= 0 AND "spent" >= 0 AND "allocated" >= 0 AND "reserved" + "spent" + "allocated" <= "budget"
);
ALTER TABLE "grants" ADD CONSTRAINT "grants_payments" CHECK (
  "payments" >= 0 AND ("max_payments" IS NULL OR "payments" <= "max_payments")
);
ALTER TABLE "grants" ADD CONSTRAINT "grants_id_kind" CHECK ("id" LIKE 'grt\_%');
-- IS TRUE: a path that holds a NULL would make the whole unknown, and a CHECK lets the unknown pass.
ALTER TABLE "grants" ADD CONSTRAINT "grants_path" CHECK ((
  cardinality("path") = "depth" + 1 AND "path"[1] = "root_id" AND "path"["depth" + 1] = "id"
  AND ("parent_id" IS NULL) = ("depth" = 0) AND ("depth" = 0 OR "path"["depth"] = "parent_id")
  AND array_position("path", NULL) IS NULL
) IS TRUE);
ALTER TABLE "grants" ADD CONSTRAINT "grants_status" CHECK (
  "status" IN ('active', 'suspended', 'revoked') AND ("status" = 'revoked') = ("revoked_at" IS NOT NULL)
);
ALTER TABLE "grants" ADD CONSTRAINT "grants_terms" CHECK (
  "max_per_payment" >= 0 AND "expires_at" > "starts_at"
  AND "delegation_depth" BETWEEN 0 AND 8 AND "funding" IN ('shared', 'reserved')
);

ALTER TABLE "payments" ADD CONSTRAINT "payments_id_kind" CHECK ("id" LIKE 'pay\_%');
ALTER TABLE "payments" ADD CONSTRAINT "payments_status" CHECK (
  "status" IN ('authorized', 'settled', 'released', 'cancelled')
  AND ("status" = 'authorized') = ("ended_at" IS NULL)
  AND ("status" <> 'settled' OR "transaction" IS NOT NULL)
);
ALTER TABLE "payments" ADD CONSTRAINT "payments_terms" CHECK (
  "amount" >= 0 AND "valid_after" >= 0 AND "valid_before" > "valid_after" AND "nonce" ~ '^0x[0-9a-f]{64}$'
);

ALTER TABLE "events" ADD CONSTRAINT "events_id_kind" CHECK ("id" LIKE 'evt\_%');
ALTER TABLE "events" ADD CONSTRAINT "events_sealed" CHECK (("leaf_index" IS NULL) = ("chain_hash" IS NULL));

-- I8: what was signed never changes, terminal states are terminal, and the log only grows. Enforced here
-- because no query of the service has a reason to try.
CREATE FUNCTION "payments_fixed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'payment % is % and cannot change so', OLD."id", OLD."status" USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "payments_terminal" BEFORE UPDATE ON "payments"
  FOR EACH ROW WHEN (OLD."status" <> 'authorized') EXECUTE FUNCTION "payments_fixed"();
CREATE TRIGGER "payments_no_rewrite" BEFORE UPDATE ON "payments"
  FOR EACH ROW WHEN (
    to_jsonb(OLD) - ARRAY['status', 'transaction', 'block_number', 'ended_at']
      <> to_jsonb(NEW) - ARRAY['status', 'transaction', 'block_number', 'ended_at']
  ) EXECUTE FUNCTION "payments_fixed"();
CREATE TRIGGER "payments_no_delete" BEFORE DELETE ON "payments"
  FOR EACH ROW EXECUTE FUNCTION "payments_fixed"();

CREATE FUNCTION "events_append_only"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'event % is part of the audit log and cannot change', OLD."id" USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "events_no_delete" BEFORE DELETE ON "events"
  FOR EACH ROW EXECUTE FUNCTION "events_append_only"();
CREATE TRIGGER "events_no_rewrite" BEFORE UPDATE ON "events"
  FOR EACH ROW WHEN (
    OLD."leaf_index" IS NOT NULL
    OR to_jsonb(OLD) - ARRAY['leaf_index', 'chain_hash'] <> to_jsonb(NEW) - ARRAY['leaf_index', 'chain_hash']
  ) EXECUTE FUNCTION "events_append_only"();

CREATE FUNCTION "never_truncated"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'table % is a record and cannot be emptied', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "payments_no_truncate" BEFORE TRUNCATE ON "payments"
  FOR EACH STATEMENT EXECUTE FUNCTION "never_truncated"();
CREATE TRIGGER "events_no_truncate" BEFORE TRUNCATE ON "events"
  FOR EACH STATEMENT EXECUTE FUNCTION "never_truncated"();

-- Revocation is final: no statement can bring a grant back.
CREATE FUNCTION "grants_revoked"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'grant % is revoked for good', OLD."id" USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "grants_revoked" BEFORE UPDATE ON "grants"
  FOR EACH ROW WHEN (OLD."status" = 'revoked' AND NEW."status" <> 'revoked') EXECUTE FUNCTION "grants_revoked"();
