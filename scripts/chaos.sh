#!/usr/bin/env bash
# Drives the whole service with random faults and checks that nothing is lost, altered, duplicated or stuck.
#   scripts/chaos.sh [SEEDS] [--jobs N]    seeds 1 to SEEDS (10), N at once (3); each takes half a minute to two minutes
#   scripts/chaos.sh --seed N              one seed, e.g. one that failed
#   scripts/chaos.sh … --keep-logs         keeps the logs of every seed, not only of failed ones
#   scripts/chaos.sh --soak MINUTES        mixed load without faults: no memory, file or session may leak
# Processes are killed and stopped, Postgres restarts, connections break, DCE dies; for root the disk fills up, too.
# PostgreSQL and Rust are installed if they are missing. Exit code 1 if a check fails.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

say "Building (the first time takes some minutes)"
cargo build --locked --workspace --bins --target-dir "$target"

say "Running dce-chaos"
exec "$target/debug/dce-chaos" "$@"
