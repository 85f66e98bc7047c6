#!/usr/bin/env bash
# Writes docs/openapi.json, which the API serves at /openapi.json.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cargo run --quiet --package dce-api --locked --target-dir "$target" -- openapi > "$target/openapi.json"
mv "$target/openapi.json" docs/openapi.json
