-- What the API remembers of its clients, so that all its instances know the same.

-- A creation that was answered, under the key that its client gave it. Kept for a day.
CREATE TABLE idempotency_keys (
  caller     text NOT NULL,                                       -- key:NAME or address:IP
  key        text NOT NULL,
  payload    bytea NOT NULL,                                      -- SHA-256 of the request
  job_id     uuid NOT NULL,
  answer     text NOT NULL DEFAULT '',                            -- the body, byte for byte
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- When a client's latest creations were accepted: a sliding window needs the times themselves.
CREATE TABLE rate_limits (
  caller     text PRIMARY KEY,
  accepted   timestamptz[] NOT NULL DEFAULT '{}',
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX rate_limits_by_age ON rate_limits (updated_at);

ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE rate_limits      ENABLE ROW LEVEL SECURITY;

DO $$
DECLARE v_role text;
BEGIN
  FOR v_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
    EXECUTE format('REVOKE ALL ON idempotency_keys, rate_limits FROM %I', v_role);
  END LOOP;
END $$;
