#!/usr/bin/env bash
# Fuzzes the parsers of foreign input: DCE's documents and stderr, clients' requests. Stable Rust is enough.
# Usage: scripts/fuzz.sh [SECONDS per target, default 60] [TARGET...]
# Targets: framing, structured_framing, stderr, request, filter. Only the code of the chosen targets is built.
# Installs nothing. Failing inputs are saved in fuzz/artifacts, inputs that reach new code in fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
PATH=$PATH:$HOME/.cargo/bin

seconds=${1:-60}
targets=(framing structured_framing stderr request filter)
[ $# -lt 2 ] || targets=("${@:2}")
case $seconds in
'' | *[!0-9]* | 0) echo "usage: scripts/fuzz.sh [SECONDS per target] [TARGET...]" >&2 && exit 2 ;;
esac

missing=""
command -v cargo >/dev/null || missing+=$'\n  cargo: install Rust (https://rustup.rs)'
command -v "${CXX:-c++}" >/dev/null || missing+=$'\n  a C++ compiler, which builds libFuzzer: install g++ or clang'
[ -z "$missing" ] || { printf 'error: missing:%s\n' "$missing" >&2 && exit 1; }

# seed TARGET PREFIX FILE...: copies recorded output of DCE into the corpus. PREFIX: the bytes that configure the target.
seed() {
    local directory=corpus/$1 prefix=$2 file name
    shift 2
    for file in "$@"; do
        name=${file#../crates/standin/}
        { printf '%b' "$prefix" && cat "$file"; } >"$directory/${name//[\/ ]/-}"
    done
}

seeds() {
    mkdir -p corpus/{framing,structured_framing,stderr,request,filter}
    local files=() file
    for file in ../crates/standin/recordings{,-2.48}/*/out/*.json; do
        # Large recordings repeat the small ones and slow the fuzzer down.
        [ "$(wc -c <"$file")" -gt 32000 ] || files+=("$file")
    done
    seed framing '\0\0100\007\001\0377' "${files[@]}"
    seed stderr '\001' ../crates/standin/recordings{,-2.48}/*/stderr
    local body number=0
    for body in '{"channel_id":"1001"}' '{"channel_ids":["1001","1002"]}' '{"filter":"~from:bot"}' \
        '{"start_at":"2024-07-03T09:50:40Z","end_at":"2024-07-04T00:00:00.5+09:00"}' \
        '{"format":"Json","media":false,"include_threads":"none","markdown":true,"on_conflict":"ignore"}'; do
        number=$((number + 1))
        printf '1%s' "$body" >"corpus/request/body-$number"
    done
    local filter
    number=0
    while read -r filter; do
        number=$((number + 1))
        printf '%s\nsee **https://discord.gg/a** `max`' "$filter" >"corpus/filter/recorded-$number"
    done < <(sed -n 's/^{"filter": "\(.*\)", ".*/\1/p' ../crates/filter/tests/fixtures/filters.jsonl)
}

# The same instrumentation as cargo-fuzz. It needs a --target, or build scripts would be instrumented, too.
build() {
    local host flag flags="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module"
    host=$(rustc -vV | sed -n 's/^host: //p')
    for flag in level=4 inline-8bit-counters pc-table trace-compares; do
        flags+=" -Cllvm-args=-sanitizer-coverage-$flag"
    done
    RUSTFLAGS=$flags SQLX_OFFLINE=true cargo build "${targets[@]/#/--bin=}" --target "$host" --target-dir target
    programs=target/$host/debug
}

fuzz() {
    local options=("-artifact_prefix=artifacts/$1/" "-max_total_time=$seconds" -max_len=32768 -timeout=60)
    mkdir -p "artifacts/$1" "corpus/$1"
    [ ! -f "dict/$1.dict" ] || options+=("-dict=dict/$1.dict")
    "$programs/$1" "corpus/$1" "${options[@]}" -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1
}

build
seeds
failed=()
for target in "${targets[@]}"; do
    printf '\n== %s, %s seconds\n' "$target" "$seconds"
    fuzz "$target" || failed+=("$target")
done
if [ ${#failed[@]} -gt 0 ]; then
    printf '\nFAILED: %s\nTo repeat: fuzz/%s/TARGET fuzz/artifacts/TARGET/FILE\n' "${failed[*]}" "$programs" >&2
    exit 1
fi
printf '\nNothing found.\n'
