#!/usr/bin/env bash
# Measures the service on this machine, side by side with psql \copy, and writes docs/benchmarks.md.
#   scripts/bench.sh              half an hour, 10 GB of disk in TMPDIR
#   scripts/bench.sh --quick      3 runs without the million messages: some minutes after the build
#   scripts/bench.sh --growth     up to ten million messages, and deletions, into docs/growth.md: 15 minutes, 25 GB of disk
# PostgreSQL and Rust are installed if they are missing. A Python script is measured, too, if there is a Python 3 with venv
# that can install psycopg from PyPI.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

say "Building for release (the first time takes some minutes)"
cargo build --locked --release --workspace --bins --target-dir "$target"

python="$target/bench-python"
if [ ! -x "$python/bin/python" ] || ! "$python/bin/python" -c 'import psycopg' 2>/dev/null; then
  say "Installing psycopg for the comparison"
  python3 -m venv "$python" && "$python/bin/pip" --quiet install 'psycopg[binary]==3.2.10' || say "psycopg cannot be installed: the Python script is not measured"
fi
if "$python/bin/python" -c 'import psycopg' 2>/dev/null; then export BENCH_PYTHON="$python/bin/python"; fi

say "Measuring"
page=docs/benchmarks.md
case " $* " in *" --growth "*) page=docs/growth.md ;; esac
exec "$target/release/dce-bench" "$@" "$page"
