#!/usr/bin/env bash
# Rebuilds .sqlx, which queries are checked against at compile time, from the migrations.
# Usage: DATABASE_URL=postgres://… scripts/prepare-sql.sh   (an empty database, e.g. of `dce-local postgres`)
set -euo pipefail
cd "$(dirname "$0")/.."
: "${DATABASE_URL:?name an empty database to apply the migrations to}"
# 0004 changes sqlx's own table, which only the migrator creates.
psql -q -v ON_ERROR_STOP=1 "$DATABASE_URL" -c 'CREATE TABLE IF NOT EXISTS _sqlx_migrations (version bigint)'
for migration in migrations/*.sql; do psql -q -v ON_ERROR_STOP=1 "$DATABASE_URL" -f "$migration"; done
rm -rf .sqlx && mkdir .sqlx
# Only this workspace's crates use the database: the queue's crate comes with its own query data.
wrapper=$(mktemp)
trap 'rm -f "$wrapper"' EXIT
printf '#!/bin/sh\nSQLX_OFFLINE=false exec "$@"\n' > "$wrapper"
chmod +x "$wrapper"
touch crates/core/src/lib.rs
RUSTC_WORKSPACE_WRAPPER="$wrapper" SQLX_OFFLINE_DIR="$PWD/.sqlx" cargo check -q -p dce-core
echo "$(ls .sqlx | wc -l) queries in .sqlx"
