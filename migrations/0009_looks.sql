-- The ids that are archived of a channel in ranges from one text to another of as many digits: what a batch looks at
-- before it is written.
--
-- By the key's index, whatever the statistics say. Of a channel that is newer than they are the planner expects a single row
-- and takes the smaller index, by time; then every look reads all that the channel has (measured: an ingest five times
-- slower at a million messages). The key's is the only index that knows the ids, so no other index-only scan is possible.
CREATE FUNCTION archived_ids(p_channel_id text, p_lows text[], p_highs text[], p_limit bigint) RETURNS text[]
LANGUAGE sql STABLE
SET enable_seqscan = off SET enable_indexscan = off SET enable_bitmapscan = off
SET jit = off -- what is switched off is counted as so expensive that compiling seems to pay
AS $$
  SELECT coalesce(array_agg(m.message_id), '{}')
    FROM (SELECT m.message_id
            FROM unnest(p_lows, p_highs) AS r (low, high)
            -- OFFSET keeps the subquery one: joined instead, a plan for any parameters reads the whole channel.
           CROSS JOIN LATERAL (SELECT m.message_id FROM messages m
                                WHERE m.channel_id = p_channel_id AND m.message_id BETWEEN r.low AND r.high
                                  AND length(m.message_id) = length(r.low) OFFSET 0) m
           LIMIT p_limit) m
$$;
REVOKE ALL ON FUNCTION archived_ids(text, text[], text[], bigint) FROM PUBLIC;

DO $$
DECLARE v_role text;
BEGIN
  FOR v_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION archived_ids(text, text[], text[], bigint) FROM %I', v_role);
  END LOOP;
END $$;
