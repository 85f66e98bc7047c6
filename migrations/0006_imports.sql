-- Files that users already have: runs of kind `import` belong to the process that reads them, from their beginning to
-- their end. They are never queued, and take no place that admission gives.

ALTER TABLE export_channels ADD CHECK (kind <> 'import' OR status <> 'pending');

-- As before (0003), but slots of workers with a problem (0005) do not count, and a running import is nobody's place.
CREATE OR REPLACE FUNCTION pick_admissible_runs(p_max int, p_lease interval, p_task_ids text[])
RETURNS TABLE (run_id uuid, task_id text, priority int) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE v_now timestamptz; v_max int; v_free int; v_picked int := 0;
        v_jobs uuid[]; v_channels text[]; v_skip uuid[] := '{}'; v_run uuid;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('dce.admission'));       -- a statement of its own: the next ones see all earlier holders
  v_now := clock_timestamp();                                     -- a variable, so that it can be an index condition
  v_max := greatest(1, least(p_max, (SELECT coalesce(sum(w.slots), 0) FROM workers w WHERE NOT w.draining AND w.problem IS NULL AND w.last_seen > v_now - p_lease)));
  LOOP
    -- What is active: at most v_max rows, counted anew for each pick.
    SELECT v_max - count(*), coalesce(array_agg(r.job_id), '{}'), coalesce(array_agg(r.channel_id) FILTER (WHERE r.kind = 'channel'), '{}')
      INTO v_free, v_jobs, v_channels FROM export_channels r WHERE (r.status = 'running' AND r.kind <> 'import') OR r.task_id IS NOT NULL;
    EXIT WHEN v_free <= 0 OR v_picked >= cardinality(p_task_ids);

    -- An export without active runs, the longest waiting first: walks `waiting` and stops at the first hit.
    SELECT r.id INTO v_run FROM export_channels r
     WHERE r.status = 'pending' AND r.task_id IS NULL AND r.run_at <= v_now
       AND r.job_id <> ALL (v_jobs) AND (r.kind <> 'channel' OR r.channel_id <> ALL (v_channels)) AND r.id <> ALL (v_skip)
     ORDER BY r.run_at, r.id LIMIT 1;
    IF NOT FOUND THEN                                             -- else the export with the fewest: one probe of `waiting_of` for each
      SELECT r.id INTO v_run
        FROM (SELECT j AS job_id, count(*) AS n FROM unnest(v_jobs) j GROUP BY j) a
       CROSS JOIN LATERAL (
             SELECT w.id, w.run_at FROM export_channels w
              WHERE w.job_id = a.job_id AND w.status = 'pending' AND w.task_id IS NULL AND w.run_at <= v_now
                AND (w.kind <> 'channel' OR w.channel_id <> ALL (v_channels)) AND w.id <> ALL (v_skip)
              ORDER BY w.run_at, w.id LIMIT 1) r
       ORDER BY a.n, r.run_at, r.id LIMIT 1;                      -- ties by age: without it a stream of small exports starves a big one
      EXIT WHEN NOT FOUND;
    END IF;

    -- Picked without a lock, so look again under it. In other hands: leave it to them; the lock's holder waits for no row.
    PERFORM FROM export_channels r WHERE r.id = v_run AND r.status = 'pending' AND r.task_id IS NULL AND r.run_at <= v_now
        FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN v_skip := v_skip || v_run; CONTINUE; END IF;
    v_picked := v_picked + 1;
    UPDATE export_channels r SET task_id = p_task_ids[v_picked] WHERE r.id = v_run;
    run_id := v_run;
    task_id := p_task_ids[v_picked];
    priority := 2147483647 - nextval('admission_order');
    RETURN NEXT;
  END LOOP;
END $$;
