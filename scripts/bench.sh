#!/usr/bin/env bash
# Measures the service on this machine, side by side with psql \copy, and writes docs/benchmarks.md.
#   scripts/bench.sh --growth     up to ten million messages, deleting, into docs/growth.md (a quarter of an hour, 25 GB of disk)
#   scripts/bench.sh [--quick]    --quick: 3 runs without the million messages (some minutes after the build)
# Without --quick it takes half an hour and 10 GB of disk in TMPDIR. PostgreSQL and Rust are installed if they are missing.
# Scripts in Python are measured, too, where there is a Python 3 with venv that gets psycopg from PyPI.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

say "Building for release (the first time takes some minutes)"
cargo build --locked --release --workspace --bins --target-dir "$target"

python="$target/bench-python"
if [ ! -x "$python/bin/python" ] || ! "$python/bin/python" -c 'import psycopg' 2>/dev/null; then
  say "psycopg, for the comparison"
  python3 -m venv "$python" && "$python/bin/pip" --quiet install 'psycopg[binary]==3.2.10' || say "There is none"
fi
if "$python/bin/python" -c 'import psycopg' 2>/dev/null; then export BENCH_PYTHON="$python/bin/python"; fi

say "Measuring"
page=docs/benchmarks.md
case " $* " in *" --growth "*) page=docs/growth.md ;; esac
exec "$target/release/dce-bench" "$@" "$page"
