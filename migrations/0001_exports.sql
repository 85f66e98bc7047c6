-- What was asked for (exports), its units of work (export_channels = runs) and their history (export_attempts).
-- docs/states.md has the picture; crates/core/src/export/state.rs the machine; crates/core/src/store the transitions.

CREATE TABLE exports (
  job_id              uuid PRIMARY KEY,
  status              text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
  channel_id          text CHECK (channel_id ~ '^[0-9]+$'),       -- the only channel of a single-channel export
  start_at            timestamptz,
  end_at              timestamptz,
  format              text NOT NULL DEFAULT 'Json',
  media               boolean NOT NULL DEFAULT false,
  options             jsonb NOT NULL DEFAULT '{}',
  message_count       bigint NOT NULL DEFAULT 0,                  -- counts are settled at each run's end
  inserted_count      bigint NOT NULL DEFAULT 0,
  updated_count       bigint NOT NULL DEFAULT 0,
  duration_ms         bigint,
  error               jsonb,
  warnings            jsonb NOT NULL DEFAULT '[]',
  request_id          text,
  requested_by        text,
  version             bigint NOT NULL DEFAULT 1,                  -- rises with every change of this row
  cancel_requested_at timestamptz,
  created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at          timestamptz,
  finished_at         timestamptz,
  CHECK (start_at < end_at),
  CHECK ((finished_at IS NOT NULL) = (status IN ('completed', 'failed', 'cancelled')))
);
CREATE INDEX exports_newest ON exports (created_at DESC, job_id DESC);

CREATE TABLE export_channels (
  id                uuid PRIMARY KEY,
  job_id            uuid NOT NULL REFERENCES exports,
  kind              text NOT NULL DEFAULT 'channel' CHECK (kind IN ('channel', 'discovery', 'import')),
  source            text NOT NULL DEFAULT '',                     -- the path of an import
  channel_id        text CHECK (channel_id ~ '^[0-9]+$'),
  status            text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
  attempt           int NOT NULL DEFAULT 0,                       -- the fence: only grows, one per claim
  failures          int NOT NULL DEFAULT 0,                       -- the budget: failures in a row without progress
  max_attempts      int NOT NULL DEFAULT 5,
  run_at            timestamptz NOT NULL DEFAULT clock_timestamp(), -- not before
  lease_owner       text,
  lease_expires_at  timestamptz,
  ingest_backends   jsonb NOT NULL DEFAULT '[]',                  -- [{pid, backend_start, application_name}] that may write for this attempt
  task_id           text,                                         -- set = admitted
  cursor_message_id text CHECK (cursor_message_id ~ '^[0-9]+$'),  -- everything up to here is committed
  first_message_id  text CHECK (first_message_id ~ '^[0-9]+$'),
  last_message_id   text CHECK (last_message_id ~ '^[0-9]+$'),
  upper_message_id  text CHECK (upper_message_id ~ '^[0-9]+$'),   -- exclusive end, fixed at the first claim
  newest_at         timestamptz,
  message_count     bigint NOT NULL DEFAULT 0,                    -- below the cursor
  inserted_count    bigint NOT NULL DEFAULT 0,
  updated_count     bigint NOT NULL DEFAULT 0,
  repaired_count    bigint NOT NULL DEFAULT 0,
  bytes_read        bigint NOT NULL DEFAULT 0,
  error             jsonb,
  warnings          jsonb NOT NULL DEFAULT '[]',
  created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at        timestamptz,
  finished_at       timestamptz,
  UNIQUE (job_id, kind, source, channel_id),
  CHECK (channel_id IS NOT NULL OR kind = 'discovery'),
  CHECK (failures BETWEEN 0 AND max_attempts),
  CHECK ((finished_at IS NOT NULL) = (status IN ('completed', 'failed', 'cancelled'))),
  CHECK ((lease_owner IS NOT NULL) = (status = 'running')),
  CHECK ((lease_expires_at IS NOT NULL) = (status = 'running')),
  CHECK (task_id IS NULL OR status = 'pending'),                  -- admitted is a kind of pending
  CHECK (ingest_backends = '[]' OR status = 'running')
);
CREATE UNIQUE INDEX one_discovery ON export_channels (job_id) WHERE kind = 'discovery';
-- Stricter than "one running": one running or admitted run of a channel, so that a wrong admission fails where it happens.
CREATE UNIQUE INDEX one_per_channel ON export_channels (channel_id)
  WHERE kind = 'channel' AND (status = 'running' OR task_id IS NOT NULL);
CREATE UNIQUE INDEX one_run_per_task ON export_channels (task_id) WHERE task_id IS NOT NULL;
CREATE INDEX waiting ON export_channels (run_at, id) WHERE status = 'pending' AND task_id IS NULL;
CREATE INDEX waiting_of ON export_channels (job_id, run_at, id) WHERE status = 'pending' AND task_id IS NULL;
CREATE INDEX leases ON export_channels (lease_expires_at) WHERE status = 'running';

CREATE TABLE export_attempts (
  run_id        uuid NOT NULL REFERENCES export_channels,
  attempt       int NOT NULL,
  worker        text NOT NULL,
  cursor_before text,
  started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at      timestamptz,
  outcome       text CHECK (outcome IN ('completed', 'failed', 'handed_back', 'lease_expired')),
  error_kind    text,
  error_message text,
  dce_version   text,
  exit_code     int,
  stderr_tail   text,
  PRIMARY KEY (run_id, attempt),
  CHECK ((ended_at IS NULL) = (outcome IS NULL))
);

CREATE TABLE workers (
  id          text PRIMARY KEY,
  host        text NOT NULL,
  version     text NOT NULL,
  dce_version text NOT NULL,
  slots       int NOT NULL CHECK (slots > 0),
  draining    boolean NOT NULL DEFAULT false,
  started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_seen   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX workers_last_seen ON workers (last_seen);
