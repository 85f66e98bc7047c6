-- As `archived_ids` (0009), which programs before this one call: the ids with commas between them. An array is sent element
-- by element, which took as long as finding them.
CREATE FUNCTION archived_id_list(p_channel_id text, p_lows text[], p_highs text[], p_limit bigint) RETURNS text
LANGUAGE sql STABLE
SET enable_seqscan = off SET enable_indexscan = off SET enable_bitmapscan = off
SET jit = off -- what is switched off is counted as so expensive that compiling seems to pay
AS $$
  SELECT coalesce(string_agg(m.message_id, ','), '')
    FROM (SELECT m.message_id
            FROM unnest(p_lows, p_highs) AS r (low, high)
            -- OFFSET keeps the subquery one: joined instead, a plan for any parameters reads the whole channel.
           CROSS JOIN LATERAL (SELECT m.message_id FROM messages m
                                WHERE m.channel_id = p_channel_id AND m.message_id BETWEEN r.low AND r.high
                                  AND octet_length(m.message_id) = octet_length(r.low) OFFSET 0) m
           LIMIT p_limit) m
$$;
REVOKE ALL ON FUNCTION archived_id_list(text, text[], text[], bigint) FROM PUBLIC;

DO $$
DECLARE v_role text;
BEGIN
  FOR v_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION archived_id_list(text, text[], text[], bigint) FROM %I', v_role);
  END LOOP;
END $$;
