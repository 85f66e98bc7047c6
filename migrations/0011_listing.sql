-- Lists of exports, newest first, as fast among a million of them as among ten; and a notice of every change of state.

-- Transitions wait from here on, holding nothing: each begins with a lock on a row of exports. Reads, heartbeats and
-- batches go on.
DO $$ BEGIN LOCK TABLE exports IN EXCLUSIVE MODE; END $$;

-- The exports with a run of a channel, in the order of lists for each status. Written by triggers only, under the lock of
-- the exports row, by its key whatever the statistics say; without a foreign key, so that nobody who deletes or truncates
-- exports needs to know of it.
CREATE TABLE channel_exports (
  job_id     uuid NOT NULL,
  channel_id text NOT NULL,
  status     text NOT NULL,                                       -- the export's
  created_at timestamptz NOT NULL,                                -- the export's
  PRIMARY KEY (job_id, channel_id)
);
ALTER TABLE channel_exports ENABLE ROW LEVEL SECURITY;

CREATE FUNCTION note_channels_of_runs() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  INSERT INTO channel_exports (job_id, channel_id, status, created_at)
  SELECT DISTINCT e.job_id, n.channel_id, e.status, e.created_at
    FROM new_runs n JOIN exports e USING (job_id) WHERE n.channel_id IS NOT NULL
      ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;

CREATE FUNCTION note_status_of_export() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  UPDATE channel_exports SET status = NEW.status WHERE job_id = NEW.job_id;
  RETURN NULL;
END $$;
CREATE TRIGGER note_status AFTER UPDATE OF status ON exports
  FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION note_status_of_export();

CREATE FUNCTION forget_exports() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    TRUNCATE channel_exports;
  ELSE
    DELETE FROM channel_exports c USING deleted d WHERE c.job_id = d.job_id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER forget_deleted AFTER DELETE ON exports
  REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION forget_exports();
CREATE TRIGGER forget_truncated AFTER TRUNCATE ON exports FOR EACH STATEMENT EXECUTE FUNCTION forget_exports();

INSERT INTO channel_exports (job_id, channel_id, status, created_at)
SELECT DISTINCT e.job_id, r.channel_id, e.status, e.created_at
  FROM export_channels r JOIN exports e USING (job_id) WHERE r.channel_id IS NOT NULL;
CREATE INDEX channel_exports_newest ON channel_exports (channel_id, status, created_at DESC, job_id DESC);
CREATE INDEX exports_by_status ON exports (status, created_at DESC, job_id DESC);
-- Last, because batches wait for it: no run is created while the exports are locked.
CREATE TRIGGER note_channels AFTER INSERT ON export_channels
  REFERENCING NEW TABLE AS new_runs FOR EACH STATEMENT EXECUTE FUNCTION note_channels_of_runs();

-- A page of a list: the newest exports before a position and after a moment, of these statuses (null: any) and with a run
-- of this channel (null: any).
--
-- By the index that has the page in order, whatever the statistics say: where they are older than the rows the planner
-- expects too few or too many, and then sorts all of a status, or reads whole tables (measured at a million exports: 0.4 s
-- for those of a channel that has 67). Only index-only scans that need no sort are left here, and for each list there is
-- just one. Each status is a list of its own, of which the page takes the newest.
CREATE FUNCTION list_exports(p_statuses text[], p_channel_id text, p_after timestamptz,
                             p_before timestamptz, p_before_job uuid, p_limit int)
RETURNS TABLE (job_id uuid, created_at timestamptz) LANGUAGE plpgsql STABLE ROWS 50
SET enable_seqscan = off SET enable_indexscan = off SET enable_bitmapscan = off SET enable_sort = off
SET jit = off -- what is switched off is counted as so expensive that compiling seems to pay
AS $$
#variable_conflict use_column
BEGIN
  IF p_channel_id IS NOT NULL THEN
    RETURN QUERY
      SELECT l.job_id, l.created_at
        FROM unnest(coalesce(p_statuses, ARRAY['pending', 'running', 'completed', 'failed', 'cancelled'])) AS s (status)
       CROSS JOIN LATERAL (SELECT c.job_id, c.created_at FROM channel_exports c
                            WHERE c.channel_id = p_channel_id AND c.status = s.status
                              AND (c.created_at, c.job_id) < (p_before, p_before_job) AND c.created_at > p_after
                            ORDER BY c.created_at DESC, c.job_id DESC LIMIT p_limit) l
       ORDER BY l.created_at DESC, l.job_id DESC LIMIT p_limit;
  ELSIF p_statuses IS NOT NULL THEN
    RETURN QUERY
      SELECT l.job_id, l.created_at
        FROM unnest(p_statuses) AS s (status)
       CROSS JOIN LATERAL (SELECT e.job_id, e.created_at FROM exports e
                            WHERE e.status = s.status
                              AND (e.created_at, e.job_id) < (p_before, p_before_job) AND e.created_at > p_after
                            ORDER BY e.created_at DESC, e.job_id DESC LIMIT p_limit) l
       ORDER BY l.created_at DESC, l.job_id DESC LIMIT p_limit;
  ELSE
    RETURN QUERY
      SELECT e.job_id, e.created_at FROM exports e
       WHERE (e.created_at, e.job_id) < (p_before, p_before_job) AND e.created_at > p_after
       ORDER BY e.created_at DESC, e.job_id DESC LIMIT p_limit;
  END IF;
END $$;

-- What the runs of each of these exports have reached together, and whether the time of a pending one has come; by the
-- index on job_id for the same reason.
CREATE FUNCTION export_totals(p_job_ids uuid[])
RETURNS TABLE (job_id uuid, message_count bigint, inserted_count bigint, updated_count bigint, bytes_read bigint, any_due boolean)
LANGUAGE plpgsql STABLE ROWS 50
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT j.job_id, t.message_count, t.inserted_count, t.updated_count, t.bytes_read, t.any_due
      FROM unnest(p_job_ids) AS j (job_id)
     CROSS JOIN LATERAL (SELECT coalesce(sum(r.message_count), 0)::bigint AS message_count,
                                coalesce(sum(r.inserted_count), 0)::bigint AS inserted_count,
                                coalesce(sum(r.updated_count), 0)::bigint AS updated_count,
                                coalesce(sum(r.bytes_read), 0)::bigint AS bytes_read,
                                coalesce(bool_or(r.status = 'pending' AND r.run_at <= clock_timestamp()), false) AS any_due
                           FROM export_channels r WHERE r.job_id = j.job_id) t;
END $$;

-- `{job_id}:{version}:{status}` at the COMMIT of every change of state, for whoever watches exports live. A trigger,
-- because no transition can forget it. Checkpoints write runs, not exports, and cause none.
CREATE FUNCTION announce_export() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('dce_exports', NEW.job_id || ':' || NEW.version || ':' || NEW.status);
  RETURN NULL;
END $$;
CREATE TRIGGER announce_new AFTER INSERT ON exports FOR EACH ROW EXECUTE FUNCTION announce_export();
CREATE TRIGGER announce_change AFTER UPDATE OF version, status ON exports
  FOR EACH ROW WHEN (OLD.version <> NEW.version OR OLD.status <> NEW.status) EXECUTE FUNCTION announce_export();

REVOKE ALL ON FUNCTION note_channels_of_runs(), note_status_of_export(), forget_exports(), announce_export(), export_totals(uuid[]),
  list_exports(text[], text, timestamptz, timestamptz, uuid, int) FROM PUBLIC;

DO $$
DECLARE v_role text;
BEGIN
  FOR v_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
    EXECUTE format('REVOKE ALL ON channel_exports FROM %I', v_role);
    EXECUTE format('REVOKE ALL ON FUNCTION note_channels_of_runs(), note_status_of_export(), forget_exports(), announce_export(),
      export_totals(uuid[]), list_exports(text[], text, timestamptz, timestamptz, uuid, int) FROM %I', v_role);
  END LOOP;
END $$;
