# SPDX-License-Identifier: Apache-2.0
"""The same cases as engine_bench, through llama.cpp (package llama-cpp-python, built for the native CPU).
    python tests/bench/llama_peer.py MODEL.gguf [--threads 2] [--prompt 512] [--tokens 128] [--batch 1,8,16] [--runs 3]"""
import argparse
import ctypes
import json
import random
import statistics
import time

import llama_cpp as lc

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--prompt", type=int, default=512)
parser.add_argument("--tokens", type=int, default=128)
parser.add_argument("--batch", default="1,8,16")
parser.add_argument("--runs", type=int, default=3)
options = parser.parse_args()
random.seed(1)

silent = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
lc.llama_log_set(silent, None)
lc.llama_backend_init()
model = lc.llama_model_load_from_file(options.model.encode(), lc.llama_model_default_params())
vocab = lc.llama_vocab_n_tokens(lc.llama_model_get_vocab(model))


def context(sequences):
    params = lc.llama_context_default_params()
    params.n_ctx = max(1024, sequences * (options.tokens + 64))
    params.n_batch = params.n_ubatch = 512
    params.n_seq_max = sequences
    params.n_threads = params.n_threads_batch = options.threads
    return lc.llama_init_from_model(model, params)


def decode(ctx, rows):
    """rows: (token, position, sequence, wants logits)"""
    batch = lc.llama_batch_init(len(rows), 0, 1)
    batch.n_tokens = len(rows)
    for i, (token, position, sequence, logits) in enumerate(rows):
        batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
        batch.seq_id[i][0], batch.logits[i] = sequence, logits
    assert lc.llama_decode(ctx, batch) == 0
    lc.llama_batch_free(batch)



def token():
    return random.randrange(100, vocab)


def report(name, rates):
    print(json.dumps({"engine": "llama.cpp", "case": name, "tokens_per_second": round(statistics.median(rates), 1),
                      "runs": [round(r, 1) for r in sorted(rates)]}), flush=True)


def prefill():
    ctx = context(1)
    start = time.perf_counter()
    decode(ctx, [(token(), i, 0, i == options.prompt - 1) for i in range(options.prompt)])
    lc.llama_get_logits_ith(ctx, options.prompt - 1)
    rate = options.prompt / (time.perf_counter() - start)
    lc.llama_free(ctx)
    return rate


def decode_rate(sequences):
    # Random next tokens: choosing by argmax in Python would cost more than the model's own step.
    ctx = context(sequences)
    for s in range(sequences):
        decode(ctx, [(token(), i, s, i == 31) for i in range(32)])
    start = time.perf_counter()
    for step in range(options.tokens):
        decode(ctx, [(token(), 32 + step, s, True) for s in range(sequences)])
        lc.llama_get_logits_ith(ctx, 0)
    rate = sequences * options.tokens / (time.perf_counter() - start)
    lc.llama_free(ctx)
    return rate


prefill()
report(f"prefill{options.prompt}", [prefill() for _ in range(options.runs)])
for sequences in map(int, options.batch.split(",")):
    report(f"decode_b{sequences}", [decode_rate(sequences) for _ in range(options.runs)])
