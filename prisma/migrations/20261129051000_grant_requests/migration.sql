-- Raises that holders ask for (docs/adr/0081-raise-requests.md).
CREATE TABLE "grant_requests" (
    "treasury_id" TEXT NOT NULL,
    "id" TEXT NOT NULL,
    "grant_id" TEXT NOT NULL,
    "root_id" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'pending',
    "budget" DECIMAL(78,0) NOT NULL,
    "expires_at" TIMESTAMPTZ(3),
    "reason" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "lapses_at" TIMESTAMPTZ(3) NOT NULL,
    "decided_at" TIMESTAMPTZ(3),
    "decided_by" TEXT,
    "decided_reason" TEXT,

    CONSTRAINT "grant_requests_pkey" PRIMARY KEY ("treasury_id", "id")
);
ALTER TABLE "grant_requests" ADD CONSTRAINT "grant_requests_treasury_id_grant_id_fkey" FOREIGN KEY ("treasury_id", "grant_id") REFERENCES "grants"("treasury_id", "id") ON DELETE RESTRICT ON UPDATE NO ACTION;
CREATE INDEX "grant_requests_id_idx" ON "grant_requests"("id");

-- One open request a grant.
CREATE UNIQUE INDEX "grant_requests_open" ON "grant_requests"("treasury_id", "grant_id") WHERE (status = 'pending'::text);
CREATE INDEX "grant_requests_open_of_root" ON "grant_requests"("treasury_id", "root_id") WHERE (status = 'pending'::text);
CREATE INDEX "grant_requests_lapsing" ON "grant_requests"("lapses_at") WHERE (status = 'pending'::text);

ALTER TABLE "grant_requests" ADD CONSTRAINT "grant_requests_status" CHECK (
  "status" IN ('pending', 'approved', 'rejected') AND ("status" = 'pending') = ("decided_at" IS NULL)
  AND ("decided_at" IS NULL) = ("decided_by" IS NULL) AND "budget" >= 0
);

-- What was asked stays, and a decision is final.
CREATE FUNCTION "grant_requests_fixed"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'request % is % and cannot change so', OLD."id", OLD."status" USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "grant_requests_forward" BEFORE UPDATE ON "grant_requests"
  FOR EACH ROW WHEN (
    OLD."status" <> 'pending'
    OR to_jsonb(OLD) - ARRAY['status', 'decided_at', 'decided_by', 'decided_reason']
      <> to_jsonb(NEW) - ARRAY['status', 'decided_at', 'decided_by', 'decided_reason']
  ) EXECUTE FUNCTION "grant_requests_fixed"();
CREATE TRIGGER "grant_requests_no_delete" BEFORE DELETE ON "grant_requests"
  FOR EACH ROW EXECUTE FUNCTION "grant_requests_fixed"();
CREATE TRIGGER "grant_requests_no_truncate" BEFORE TRUNCATE ON "grant_requests"
  FOR EACH STATEMENT EXECUTE FUNCTION "never_truncated"();

SELECT "keep_treasuries_apart"();
