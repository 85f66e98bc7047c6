#!/usr/bin/env bash
# Shows the whole service at work on this machine: one export, from the HTTP request to rows in PostgreSQL.
#   scripts/demo.sh [--once]    --once: end after the result instead of staying up, as always without a terminal
# With DISCORD_TOKEN, DEFAULT_CHANNEL_ID and DCE_BIN (the path of DiscordChatExporter.Cli) it exports that channel, otherwise
# a sample. PostgreSQL and Rust are installed if they are missing; the demo itself leaves nothing behind.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

say "Building (the first time takes some minutes)"
cargo build --locked --workspace --bins --target-dir "$target"

say "Demo"
exec "$target/debug/dce-local" demo "$@"
