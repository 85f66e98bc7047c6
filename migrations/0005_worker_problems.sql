-- What keeps a worker from starting runs although it lives: Discord refused its token, its disk is full.

ALTER TABLE workers ADD COLUMN problem text CHECK (problem IN ('invalid_token', 'disk_full')); -- null: none

-- Tokens that Discord refused. Discord bans addresses that go on sending requests with them, so no run starts with such
-- a token, but for a trial now and then.
CREATE TABLE rejected_tokens (
  fingerprint text PRIMARY KEY,                                  -- the start of a SHA-256, never the token
  rejected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  tried_at    timestamptz NOT NULL DEFAULT clock_timestamp()     -- the last trial, or the rejection
);
ALTER TABLE rejected_tokens ENABLE ROW LEVEL SECURITY;

DO $$
DECLARE v_role text;
BEGIN
  FOR v_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
    EXECUTE format('REVOKE ALL ON rejected_tokens FROM %I', v_role);
  END LOOP;
END $$;
