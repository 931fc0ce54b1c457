#!/usr/bin/env bash
# Installs what building and testing mhub needs, from Debian's own packages. Needs root. Safe to repeat.
set -euo pipefail
packages=(
  build-essential cmake ninja-build ccache pkg-config ca-certificates curl git unzip
  libcurl4-openssl-dev libssl-dev libsqlite3-dev libsqlitecpp-dev
  libcpp-httplib-dev nlohmann-json3-dev libsimdjson-dev libcli11-dev libyaml-cpp-dev
  libspdlog-dev libfmt-dev libpcre2-dev libutf8proc-dev prometheus-cpp-dev
  libgtest-dev libgmock-dev
  python3 python3-venv python3-pip
)
missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "deps.sh: these Debian packages are missing and installing them needs root: ${missing[*]}" >&2
  echo "deps.sh: run: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
