-- Messages that were changed or deleted after they were archived: exports with `on_conflict: "update"`.

-- When an export that read past it found that Discord no longer has it; null: it is there, or nobody looked.
ALTER TABLE messages ADD COLUMN missing_since timestamptz;

-- What a message was before an update (`keep_versions`).
CREATE TABLE message_versions (
  channel_id  text NOT NULL,
  message_id  text NOT NULL,
  exported_at timestamptz,                                        -- when DCE wrote this version; null: unknown
  raw         jsonb NOT NULL,                                     -- the whole message as it was then
  replaced_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  job_id      uuid,                                               -- the export that replaced it
  PRIMARY KEY (channel_id, message_id, replaced_at)
);
ALTER TABLE message_versions ENABLE ROW LEVEL SECURITY;

DO $$
BEGIN
  ALTER TABLE message_versions ALTER COLUMN raw SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value OR syntax_error THEN
  NULL; -- 0002 has said it
END $$;

DO $$
DECLARE v_role text;
BEGIN
  FOR v_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
    EXECUTE format('REVOKE ALL ON message_versions FROM %I', v_role);
  END LOOP;
END $$;
