-- Admin tokens that were used once: their first use is an event, told once over all replicas.

-- CreateTable
CREATE TABLE "admin_sign_ins" (
    "token_id" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "admin_sign_ins_pkey" PRIMARY KEY ("token_id")
);

-- CreateIndex
CREATE INDEX "admin_sign_ins_expires_at_idx" ON "admin_sign_ins"("expires_at");

SELECT "keep_treasuries_apart"();
