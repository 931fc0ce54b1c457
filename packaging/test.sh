#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything the test suite needs, then the whole suite; closes with ctest's summary.
# MHUB_JOBS: parallel compile jobs (default: one per core). Where nvcc is found the CUDA plug-in is compiled too,
# for every architecture that it names.
set -euo pipefail
cd "$(dirname "$0")/.."
./packaging/deps.sh
options=()
export PATH="$PATH:/usr/local/cuda/bin"
if command -v nvcc >/dev/null 2>&1; then
  options+=(-DMHUB_BUILD_CUDA=ON "-DCMAKE_CUDA_ARCHITECTURES=80;86;89;90a;100;120")
fi
# Clients of other makers that the end-to-end tests drive (openai, modelscope, huggingface_hub). Without the Python
# package index those tests are left out, with a line; everything else runs.
requirements=tests/e2e/requirements.txt
if ! cmp -s "$requirements" .venv/requirements.txt; then
  rm -rf .venv
  if python3 -m venv .venv && .venv/bin/pip install -q --disable-pip-version-check -r "$requirements"; then
    cp "$requirements" .venv/requirements.txt
  else
    rm -rf .venv
    echo "test.sh: the Python package index does not answer: tests against other clients are left out" >&2
  fi
fi
# The demo model (Apache-2.0), for the end-to-end tests that want a real one.
[ ! -d .venv ] || ./packaging/demo_model.sh .demo ||
  echo "test.sh: the demo model could not be fetched: tests of a real model are left out" >&2
cmake --preset dev "${options[@]}" >/dev/null
cmake --build build/dev -j "${MHUB_JOBS:-$(nproc)}"
exec ctest --test-dir build/dev --output-on-failure --timeout 600
