-- COPY writes and logs rows a page at a time, unless a column that it leaves out has a volatile default: then one by one.
-- When the batch's transaction began says the same, some milliseconds earlier.
ALTER TABLE messages ALTER COLUMN inserted_at SET DEFAULT now();
