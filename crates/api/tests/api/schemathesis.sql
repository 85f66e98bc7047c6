-- Something to find behind the ids of scripts/schemathesis/schemathesis.toml.
INSERT INTO exports (job_id, status, channel_id, message_count, inserted_count, duration_ms, started_at, finished_at)
VALUES ('01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e', 'completed', '900000000000001004', 40, 40, 1000, now(), now());
INSERT INTO export_channels (id, job_id, channel_id, status, attempt, message_count, inserted_count, first_message_id,
                             last_message_id, cursor_message_id, started_at, finished_at)
VALUES ('01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6f', '01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e', '900000000000001004', 'completed', 1,
        40, 40, '999999999999999980', '1000000000000000019', '1000000000000000019', now(), now());
INSERT INTO channels (channel_id, guild_id, guild_name, name, type, archived_count)
VALUES ('900000000000001004', '900000000000000001', 'Guild', 'general', 'GuildTextChat', 40);
INSERT INTO messages (channel_id, message_id, author_id, author_name, content, "timestamp", attachments, embeds, raw, job_id, exported_at)
SELECT '900000000000001004', (999999999999999980 + n)::text, '7', 'birch', '=1+1 길 "quoted", ' || n,
       '2022-07-22T11:22:59Z'::timestamptz + n * interval '1 second', '[]', '[]',
       jsonb_build_object('id', (999999999999999980 + n)::text, 'content', 'x'), '01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e', now()
  FROM generate_series(0, 39) AS n;
