-- The admin tokens that were minted here, without the tokens themselves: what can be listed, and revoked by name.

-- CreateTable
CREATE TABLE "admin_tokens" (
    "token_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "treasuries" TEXT[],
    "minted_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,
    "last_used_at" TIMESTAMPTZ(3),

    CONSTRAINT "admin_tokens_pkey" PRIMARY KEY ("token_id")
);

-- CreateIndex
CREATE INDEX "admin_tokens_expires_at_idx" ON "admin_tokens"("expires_at");

SELECT "keep_treasuries_apart"();
