#!/usr/bin/env bash
# Measures the service on this machine, side by side with psql \copy, and writes docs/benchmarks.md.
#   scripts/bench.sh [--quick]    --quick: 3 runs without the million messages (two minutes after the build)
# Without --quick it takes some ten minutes and 8 GB of disk in TMPDIR. PostgreSQL and Rust are installed if they are missing.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

say "Building for release (the first time takes some minutes)"
cargo build --locked --release --workspace --bins --target-dir "$target"

say "Measuring"
exec "$target/release/dce-bench" "$@" docs/benchmarks.md
