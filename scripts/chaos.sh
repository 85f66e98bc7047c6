#!/usr/bin/env bash
# Drives the whole service with random faults and checks that nothing is lost, altered, twice or stuck.
#   scripts/chaos.sh [SEEDS] [--jobs N]    seeds 1 to SEEDS (10), N of them at once (3), half a minute to two each
#   scripts/chaos.sh --seed N              one seed again, e.g. one that failed
#   scripts/chaos.sh … --keep-logs         keeps the logs of every seed, not only of those that failed
#   scripts/chaos.sh --soak MINUTES        no faults: mixed load, after which no memory, file, session may have leaked
# Processes are killed and stopped, Postgres restarts, connections break, DCE dies; with root the disk is full, too.
# PostgreSQL and Rust are installed if they are missing. Exit code 1 if anything did not hold.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

say "Building (the first time takes some minutes)"
cargo build --locked --workspace --bins --target-dir "$target"

say "Chaos"
exec "$target/debug/dce-chaos" "$@"
