-- The archive. Ids are text (JSON numbers lose digits in JavaScript) and compared as numbers.

CREATE TABLE channels (
  channel_id     text PRIMARY KEY CHECK (channel_id ~ '^[0-9]+$'),
  guild_id       text,
  guild_name     text,
  name           text,
  type           text,
  topic          text,
  category_id    text,                                            -- the parent: a thread's channel, a channel's category
  category       text,
  archived_count bigint NOT NULL DEFAULT 0,
  covered_to_id  text CHECK (covered_to_id ~ '^[0-9]+$'),         -- archived without a gap up to here
  updated_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The first post of a thread has the same id in the thread and in its parent: the pair is the key.
CREATE TABLE messages (
  channel_id  text NOT NULL CHECK (channel_id ~ '^[0-9]+$'),
  message_id  text NOT NULL CHECK (message_id ~ '^[0-9]+$'),
  author_id   text,
  author_name text,
  content     text,
  "timestamp" timestamptz NOT NULL,
  attachments jsonb,
  embeds      jsonb,
  raw         jsonb NOT NULL,                                     -- the whole message as DCE wrote it
  job_id      uuid,                                               -- the export that inserted it
  exported_at timestamptz,                                        -- when DCE wrote the document
  inserted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (channel_id, message_id)
);
CREATE INDEX messages_by_time ON messages (channel_id, "timestamp");

-- lz4 compresses faster than the default; a server may be built without it.
DO $$
BEGIN
  ALTER TABLE messages ALTER COLUMN raw SET COMPRESSION lz4, ALTER COLUMN content SET COMPRESSION lz4,
                       ALTER COLUMN attachments SET COMPRESSION lz4, ALTER COLUMN embeds SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported OR invalid_parameter_value OR syntax_error THEN
  RAISE NOTICE 'this server has no lz4; messages use the default compression';
END $$;
