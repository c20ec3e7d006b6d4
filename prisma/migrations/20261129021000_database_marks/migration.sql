-- What is true of this database, so that a start can tell when it no longer is: a dump carries it to another server.

-- CreateTable
CREATE TABLE "database_marks" (
    "mark" TEXT NOT NULL,
    "since" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "database_marks_pkey" PRIMARY KEY ("mark")
);

SELECT "keep_treasuries_apart"();
