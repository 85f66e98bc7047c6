-- Nobody but the owner reads an archive. On Supabase the schema `public` is served by PostgREST to the roles `anon` and
-- `authenticated`: row level security without policies, and no grants, keep private chats private there.
ALTER TABLE exports          ENABLE ROW LEVEL SECURITY;
ALTER TABLE export_channels  ENABLE ROW LEVEL SECURITY;
ALTER TABLE export_attempts  ENABLE ROW LEVEL SECURITY;
ALTER TABLE workers          ENABLE ROW LEVEL SECURITY;
ALTER TABLE channels         ENABLE ROW LEVEL SECURITY;
ALTER TABLE messages         ENABLE ROW LEVEL SECURITY;
ALTER TABLE _sqlx_migrations ENABLE ROW LEVEL SECURITY;

REVOKE ALL ON FUNCTION pick_admissible_runs(int, interval, text[]) FROM PUBLIC;

DO $$
DECLARE v_role text;
BEGIN
  FOR v_role IN SELECT rolname FROM pg_roles WHERE rolname IN ('anon', 'authenticated') LOOP
    EXECUTE format('REVOKE ALL ON exports, export_channels, export_attempts, workers, channels, messages, _sqlx_migrations FROM %I', v_role);
    EXECUTE format('REVOKE ALL ON SEQUENCE admission_order FROM %I', v_role);
    EXECUTE format('REVOKE ALL ON FUNCTION pick_admissible_runs(int, interval, text[]) FROM %I', v_role);
    -- Later migrations of this role: Supabase grants every new object to both roles by default.
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM %I', v_role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM %I', v_role);
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON FUNCTIONS FROM %I', v_role);
  END LOOP;
END $$;
