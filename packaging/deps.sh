#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building and testing mhub needs, from Debian's own packages. Needs root. Safe to repeat.
set -euo pipefail
packages=(
  build-essential cmake ninja-build ccache pkg-config ca-certificates curl unzip
  libcurl4-openssl-dev libssl-dev libsqlite3-dev libsqlitecpp-dev
  libcpp-httplib-dev nlohmann-json3-dev libsimdjson-dev libcli11-dev libyaml-cpp-dev
  libspdlog-dev libfmt-dev libpcre2-dev libutf8proc-dev prometheus-cpp-dev
  libgtest-dev libgmock-dev
  python3 python3-venv python3-pip
)
installed=$(dpkg-query -W -f='${Package} ${Status}\n' "${packages[@]}" 2>/dev/null | awk '/ok installed$/ {print $1}' || true)
missing=()
for package in "${packages[@]}"; do
  grep -qx "$package" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "deps.sh: installing these Debian packages needs root: ${missing[*]}" >&2
  echo "deps.sh: run: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "deps.sh: installing ${#missing[@]} Debian packages: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  cat "$log" >&2
  echo "deps.sh: apt-get failed; see its messages above" >&2
  exit 1
fi
