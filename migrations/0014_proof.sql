-- The proof that a run is complete: Discord itself said so, after everything was committed.
--
-- No CHECK on these columns: during a deploy, programs that do not know them claim, end and rescue runs on this schema.

-- What the worker is doing; readers show it only while the run is running, because an older program leaves it behind.
ALTER TABLE export_channels
  ADD COLUMN phase              text,
  ADD COLUMN through_at         timestamptz,                      -- DCE was through, all is committed, only the proof is missing
  ADD COLUMN reread_from        text,                             -- the lowest id at or below the cursor that appeared late
  ADD COLUMN verified_at        timestamptz,                      -- null: not proven
  ADD COLUMN verified_newest_id text,                             -- Discord's newest message below the bound; null: it has none
  ADD COLUMN discord_requests   bigint NOT NULL DEFAULT 0,        -- the service's own, over all attempts
  ADD COLUMN filtered_count     bigint NOT NULL DEFAULT 0;        -- read and dropped by the filter, below the cursor

ALTER TABLE export_attempts ADD COLUMN reread_from text;          -- the run's at the claim

ALTER TABLE exports ADD COLUMN verified_at timestamptz;           -- the latest of its runs, once all of them are proven
