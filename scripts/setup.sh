# shellcheck shell=bash
# Sourced by the other scripts: changes to the repository and makes sure that this machine has what a build needs.
# Installs only what is missing and announces it first; where it cannot, it says how to install.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:$HOME/.cargo/bin
export SQLX_OFFLINE=true # queries are checked against .sqlx, so that a build needs no database
# shellcheck disable=SC2034 # for the scripts that source this
target=${CARGO_TARGET_DIR:-target}

say() { printf '\n== %s\n' "$*"; }
fail() {
    printf '\nerror: %s\n' "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

can_apt() {
    have apt-get && { [ "$(id -u)" = 0 ] || have sudo; }
}

# apt PACKAGE...
apt() {
    say "Installing $* with apt-get"
    [ -n "${apt_updated-}" ] || as_root apt-get update -qq
    apt_updated=yes
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

need_compiler() {
    have cc && return
    can_apt || fail "there is no C compiler (cc): install one (macOS: xcode-select --install; Fedora: dnf install gcc)"
    apt gcc libc6-dev
}

# Searches the same directories as dce-local.
have_postgres() {
    local directory directories
    IFS=: read -ra directories <<<"${PG_BINDIR:-$PATH}"
    if [ -z "${PG_BINDIR-}" ]; then
        directories+=(/usr/lib/postgresql/*/bin /usr/pgsql-*/bin /{opt/homebrew,usr/local}/opt/postgresql@*/bin)
        directories+=(/Applications/Postgres.app/Contents/Versions/*/bin)
        if have pg_config; then directories+=("$(pg_config --bindir)"); fi
    fi
    for directory in "${directories[@]}"; do
        if [ -x "$directory/initdb" ] && [ -x "$directory/postgres" ]; then return; fi
    done
    return 1
}

# Debian's package starts a server of its own on port 5432 unless configured not to. The setting is restored afterwards.
need_postgres() {
    have_postgres && return
    can_apt || fail "PostgreSQL is not installed: install its server (macOS: brew install postgresql@17;" \
        "Fedora: dnf install postgresql-server), or set PG_BINDIR to the directory of initdb and postgres"
    local settings=/etc/postgresql-common/createcluster.conf saved
    apt postgresql-common
    saved=$(mktemp)
    cp "$settings" "$saved"
    # shellcheck disable=SC2064 # expand the current values
    trap "as_root cp '$saved' '$settings'; rm -f '$saved'" EXIT
    # shellcheck disable=SC2016 # a sed address, not a variable
    as_root sed -i '$a create_main_cluster = false' "$settings"
    apt postgresql
    as_root cp "$saved" "$settings"
    rm -f "$saved"
    trap - EXIT
    have_postgres || fail "PostgreSQL was installed, but initdb and postgres are not found: set PG_BINDIR"
}

# Checks that cargo is installed and at least as new as Cargo.toml requires.
have_rust() {
    have cargo || return 1
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(cargo --version | cut -d' ' -f2)
    [ "$(printf '%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ]
}

need_rust() {
    have_rust && return
    if have rustup; then
        say "Updating Rust with rustup"
        rustup update stable
    else
        have curl || { can_apt && apt ca-certificates curl; } || fail "curl is missing: install it"
        say "Installing Rust for this user with rustup (https://rustup.rs), into ~/.cargo and ~/.rustup"
        curl --proto '=https' --tlsv1.2 --fail --silent --show-error https://sh.rustup.rs |
            RUSTUP_INIT_SKIP_PATH_CHECK=yes sh -s -- -y --quiet --profile minimal --no-modify-path
        PATH=$HOME/.cargo/bin:$PATH
    fi
    have_rust || fail "Rust could not be installed: see https://rustup.rs"
}

say "Checking for a C compiler, PostgreSQL and Rust"
need_compiler
need_postgres
need_rust
