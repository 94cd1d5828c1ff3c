#!/usr/bin/env bash
# Installs what the tests need, and only what is missing: programs from Debian (a browser among them), the Python, Node
# and Rust clients and the driver of the browser into the target directory, the Rust components of the toolchain in use.
# usage: install-tools.sh TARGET_DIRECTORY
set -euo pipefail
target=$(realpath -m "$1")
cd "$(dirname "$0")"

packages=()
command -v prometheus >/dev/null && command -v promtool >/dev/null || packages+=(prometheus)
command -v prometheus-pushgateway >/dev/null || packages+=(prometheus-pushgateway)
command -v curl >/dev/null || packages+=(curl)
command -v prlimit >/dev/null && command -v setpriv >/dev/null || packages+=(util-linux)
command -v openssl >/dev/null || packages+=(openssl)
command -v systemd-analyze >/dev/null || packages+=(systemd)
command -v c++ >/dev/null || packages+=(g++)
command -v chromium >/dev/null || packages+=(chromium)
command -v node >/dev/null && command -v npm >/dev/null || packages+=(nodejs npm)
python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3 python3-venv)
# The Rust client links OpenSSL.
pkg-config --exists openssl 2>/dev/null || packages+=(pkg-config libssl-dev)
[ ${#packages[@]} = 0 ] || ./install-packages.sh "${packages[@]}"

# A virtual environment that was moved or half made is made anew.
if ! cmp -s clients/requirements.txt "$target/clients/installed.txt" || ! "$target/clients/bin/python" -c 'import prometheus_client, google.protobuf'; then
  python3 -m venv --clear "$target/clients"
  "$target/clients/bin/pip" install --quiet --requirement clients/requirements.txt
  cp clients/requirements.txt "$target/clients/installed.txt"
fi

# Modules of a package.json into a folder of the target directory, unless MODULE is there already.
# usage: install_modules PACKAGE_JSON FOLDER MODULE
install_modules() {
  local folder=$target/$2
  if ! cmp -s "$1" "$folder/package.json" || [ ! -d "$folder/node_modules/$3" ]; then
    mkdir -p "$folder"
    cp "$1" "$folder/"
    npm install --prefix "$folder" --silent --no-audit --no-fund --ignore-scripts
  fi
}
install_modules clients/node/package.json clients-node prom-client
install_modules browser/package.json browser playwright-core

# Cargo knows what is up to date, but asks the registry first if it was never asked before.
rust_client=$target/clients-rust/debug/push
if ! [ "$rust_client" -nt clients/rust/src/main.rs ] || ! [ "$rust_client" -nt clients/rust/Cargo.lock ]; then
  cargo build --locked --quiet --manifest-path clients/rust/Cargo.toml --target-dir "$target/clients-rust"
fi

cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
