-- Keys that rotate, grants bound to their holder's key, proofs and tokens that count once.

-- A new key is published before it signs, so that nobody who keeps the key set for a while meets a token
-- he cannot verify.
ALTER TABLE "signing_keys" ADD COLUMN "signs_from" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP;

-- The holder's public key (RFC 7517, only what identifies it) and its RFC 7638 thumbprint.
ALTER TABLE "grants" ADD COLUMN "holder_key" JSONB;
ALTER TABLE "grants" ADD COLUMN "holder_key_thumbprint" TEXT;
ALTER TABLE "grants" ADD CONSTRAINT "grants_holder_key" CHECK (
  ("holder_key" IS NULL) = ("holder_key_thumbprint" IS NULL)
  AND "holder_key_thumbprint" ~ '^[A-Za-z0-9_-]{43}$'
);
-- Whom a grant is bound to is part of its terms: another key would be another holder.
CREATE FUNCTION "grants_key_fixed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'grant % is bound to its key for good', OLD."id" USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "grants_key_fixed" BEFORE UPDATE OF "holder_key", "holder_key_thumbprint" ON "grants"
  FOR EACH ROW WHEN (
    OLD."holder_key" IS DISTINCT FROM NEW."holder_key"
    OR OLD."holder_key_thumbprint" IS DISTINCT FROM NEW."holder_key_thumbprint"
  ) EXECUTE FUNCTION "grants_key_fixed"();

-- DPoP proofs that were used (RFC 9449, section 11.1): the row is the replay protection, for all replicas.
-- No foreign key: a row is only ever made from a grant's own, and each would lock its treasury's row.
CREATE TABLE "dpop_proofs" (
    "treasury_id" TEXT NOT NULL,
    "proof_hash" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "dpop_proofs_pkey" PRIMARY KEY ("treasury_id","proof_hash")
);
CREATE INDEX "dpop_proofs_expires_at_idx" ON "dpop_proofs"("expires_at");

-- Admin tokens that were revoked before their end (RFC 7009), by their jti or, from elsewhere, their hash.
CREATE TABLE "revoked_tokens" (
    "token_id" TEXT NOT NULL,
    "revoked_by" TEXT NOT NULL,
    "revoked_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "revoked_tokens_pkey" PRIMARY KEY ("token_id")
);
CREATE INDEX "revoked_tokens_expires_at_idx" ON "revoked_tokens"("expires_at");
