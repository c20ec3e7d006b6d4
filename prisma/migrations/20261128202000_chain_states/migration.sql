-- What keeps a network's readings from being complete, as the last one found it. Workers read chains; every
-- process has to tell, and to stop paying on a chain that contradicts itself.

-- CreateTable
CREATE TABLE "chain_states" (
    "network" TEXT NOT NULL,
    "contradiction" TEXT,
    "quorum" TEXT,
    "code" TEXT,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "chain_states_pkey" PRIMARY KEY ("network")
);

SELECT "keep_treasuries_apart"();
