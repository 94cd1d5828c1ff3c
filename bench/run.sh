#!/usr/bin/env bash
# Installs what the bench needs, and only what is missing, builds what it measures, and runs it. bench.py tells what can
# be set.
# usage: run.sh JOBS
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}

packages=()
command -v wrk >/dev/null || packages+=(wrk)
command -v nginx >/dev/null || packages+=(nginx)
command -v prometheus-pushgateway >/dev/null || packages+=(prometheus-pushgateway)
command -v python3 >/dev/null || packages+=(python3)
command -v taskset >/dev/null || packages+=(util-linux)
[ ${#packages[@]} = 0 ] || tests/install-packages.sh "${packages[@]}"

cargo build --release --jobs "$1"
cargo build --release --jobs "$1" --no-default-features --target-dir "$target/bare"
cargo build --release --jobs "$1" --locked --manifest-path bench/floor/Cargo.toml --target-dir "$target/floor"
exec python3 bench/bench.py
