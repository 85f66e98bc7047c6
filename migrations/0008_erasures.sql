-- What was erased for good (`dce-api purge`): exports and imports leave it out. Deleting a row lets it in again.
CREATE TABLE erasures (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind       text NOT NULL CHECK (kind IN ('author', 'channel', 'message')),
  subject_id text NOT NULL CHECK (subject_id ~ '^[0-9]+$'),       -- the author's, channel's or message's id
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (kind, subject_id)
);
ALTER TABLE erasures ENABLE ROW LEVEL SECURITY;

DO $$
DECLARE v_role text;
BEGIN
  FOR v_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
    EXECUTE format('REVOKE ALL ON erasures FROM %I', v_role);
    EXECUTE format('REVOKE ALL ON SEQUENCE erasures_id_seq FROM %I', v_role);
  END LOOP;
END $$;
