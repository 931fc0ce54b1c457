# SPDX-License-Identifier: Apache-2.0
"""Makes the models and reference results beside it: an independent forward pass in float64, with numpy alone.

    python generate.py             # writes each family's config.json, model.safetensors and reference.safetensors again
    python generate.py --check     # compares what is here with transformers and torch, where they are installed

A family is a config and, where it differs from Llama, a branch below. Weights are random, rounded to BF16 and stored so:
what a reader loads is exactly what was computed with. reference.safetensors holds `input_ids` [32], `logits` [32, vocab]
of all positions, and `greedy` [16], the likeliest continuation."""
import json
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
VOCAB, HIDDEN, HEADS, KV_HEADS, HEAD_DIM, MLP, LAYERS = 48, 32, 2, 1, 16, 48, 2
PROMPT, GREEDY = 32, 16

COMMON = {"vocab_size": VOCAB, "hidden_size": HIDDEN, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
          "head_dim": HEAD_DIM, "intermediate_size": MLP, "num_hidden_layers": LAYERS, "max_position_embeddings": 128,
          "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "attention_bias": False, "tie_word_embeddings": False,
          "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16"}
FAMILIES = {
    "llama": COMMON | {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "mlp_bias": False},
    "qwen3": COMMON | {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "tie_word_embeddings": True},
    "qwen3_moe": COMMON | {"architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "num_experts": 4,
                           "num_experts_per_tok": 2, "moe_intermediate_size": 16, "norm_topk_prob": True,
                           "decoder_sparse_step": 1, "mlp_only_layers": []},
    "gemma3": COMMON | {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "tie_word_embeddings": True,
                        "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 24, "sliding_window": 8,
                        "layer_types": ["sliding_attention", "full_attention"], "rope_theta": 1000000.0,
                        "rope_local_base_freq": 10000.0, "attn_logit_softcapping": None,
                        "final_logit_softcapping": None},
}


# --- weights ---
def shapes(config):
    """Every tensor of the checkpoint under its Hugging Face name."""
    gemma, experts = config["model_type"] == "gemma3_text", config.get("num_experts", 0)
    out = {"model.embed_tokens.weight": (VOCAB, HIDDEN), "model.norm.weight": (HIDDEN,)}
    if not config["tie_word_embeddings"]:
        out["lm_head.weight"] = (VOCAB, HIDDEN)
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        norms = ["input_layernorm", "post_attention_layernorm"]
        norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"] if gemma else []
        out |= {f"{layer}{norm}.weight": (HIDDEN,) for norm in norms}
        for name, rows in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            out[f"{layer}self_attn.{name}_proj.weight"] = (rows * HEAD_DIM, HIDDEN)
        out[f"{layer}self_attn.o_proj.weight"] = (HIDDEN, HEADS * HEAD_DIM)
        if config["model_type"] != "llama":
            out |= {f"{layer}self_attn.{name}_norm.weight": (HEAD_DIM,) for name in "qk"}
        width = config["moe_intermediate_size"] if experts else MLP
        for mlp in [f"mlp.experts.{e}." for e in range(experts)] or ["mlp."]:
            out |= {f"{layer}{mlp}gate_proj.weight": (width, HIDDEN), f"{layer}{mlp}up_proj.weight": (width, HIDDEN),
                    f"{layer}{mlp}down_proj.weight": (HIDDEN, width)}
        if experts:
            out[f"{layer}mlp.gate.weight"] = (experts, HIDDEN)
    return out


def bf16_bits(values):
    """float32 to BF16, rounded to nearest even."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def make_weights(config, seed):
    random = np.random.default_rng(seed)
    out = {}
    for name, shape in sorted(shapes(config).items()):
        norm = name.endswith("norm.weight")
        center = 0.0 if config["model_type"] == "gemma3_text" or not norm else 1.0
        out[name] = bf16_bits(center + random.standard_normal(shape) * (0.1 if norm else 0.25))
    return out


def floats(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


# --- forward pass ---
def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def silu(x):
    return x / (1 + np.exp(-x))


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def rotate(x, theta):
    """Rotary embedding in Hugging Face's order: value i of a head turns with value i + half."""
    half = HEAD_DIM // 2
    angles = np.outer(np.arange(x.shape[0]), theta ** (-np.arange(half) / half))[:, None, :]
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angles) - b * np.sin(angles), b * np.cos(angles) + a * np.sin(angles)], -1)


def logits(config, weights, ids):
    gemma = config["model_type"] == "gemma3_text"

    def norm(x, name):
        scaled = x / np.sqrt((x * x).mean(-1, keepdims=True) + config["rms_norm_eps"])
        return scaled * (weights[name] + (1 if gemma else 0))

    def attention(x, layer, i):
        sliding = gemma and config["layer_types"][i] == "sliding_attention"
        q, k, v = ((x @ weights[f"{layer}{n}_proj.weight"].T).reshape(len(x), -1, HEAD_DIM) for n in "qkv")
        if f"{layer}q_norm.weight" in weights:
            q, k = norm(q, f"{layer}q_norm.weight"), norm(k, f"{layer}k_norm.weight")
        theta = config["rope_local_base_freq"] if sliding else config["rope_theta"]
        q, k = rotate(q, theta), rotate(k, theta)
        scale = config.get("query_pre_attn_scalar", HEAD_DIM) ** -0.5
        distance = np.subtract.outer(np.arange(len(x)), np.arange(len(x)))
        hidden = (distance < 0) | (sliding & (distance >= config.get("sliding_window", 0)))
        heads = []
        for h in range(HEADS):
            shared = h * KV_HEADS // HEADS
            scores = np.where(hidden, -np.inf, q[:, h] @ k[:, shared].T * scale)
            heads.append(softmax(scores) @ v[:, shared])
        return np.concatenate(heads, -1) @ weights[f"{layer}o_proj.weight"].T

    def mlp(x, name):
        act = gelu_tanh if gemma else silu
        gate, up = x @ weights[f"{name}gate_proj.weight"].T, x @ weights[f"{name}up_proj.weight"].T
        return (act(gate) * up) @ weights[f"{name}down_proj.weight"].T

    def experts(x, name):
        out = np.zeros_like(x)
        for row, shares in enumerate(softmax(x @ weights[f"{name}gate.weight"].T)):
            chosen = np.argsort(-shares, kind="stable")[: config["num_experts_per_tok"]]
            for e in chosen:
                out[row] += shares[e] / shares[chosen].sum() * mlp(x[row], f"{name}experts.{e}.")
        return out

    x = weights["model.embed_tokens.weight"][ids]
    if gemma:
        x = x * np.sqrt(HIDDEN)
    for i in range(LAYERS):
        layer = f"model.layers.{i}."
        attended = attention(norm(x, f"{layer}input_layernorm.weight"), f"{layer}self_attn.", i)
        feed = experts if "num_experts" in config else mlp
        if gemma:  # norms on both sides of each half
            x = x + norm(attended, f"{layer}post_attention_layernorm.weight")
            y = feed(norm(x, f"{layer}pre_feedforward_layernorm.weight"), f"{layer}mlp.")
            x = x + norm(y, f"{layer}post_feedforward_layernorm.weight")
        else:
            x = x + attended
            x = x + feed(norm(x, f"{layer}post_attention_layernorm.weight"), f"{layer}mlp.")
    x = norm(x, "model.norm.weight")
    return x @ weights.get("lm_head.weight", weights["model.embed_tokens.weight"]).T


# --- files ---
def save_safetensors(path, tensors):
    """name -> (dtype name, array)"""
    header, data = {}, b""
    for name, (dtype, array) in tensors.items():
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def write_family(name, config, seed):
    """False, and nothing written, where a greedy step is so near a tie that rounding could decide it."""
    stored = make_weights(config, seed)
    weights = {key: floats(bits) for key, bits in stored.items()}
    ids = np.random.default_rng(seed + 1000).integers(3, VOCAB, PROMPT)
    sequence, closest = list(ids), np.inf
    for _ in range(GREEDY):
        last = logits(config, weights, np.array(sequence))[-1]
        best = np.argsort(-last)
        closest = min(closest, last[best[0]] - last[best[1]])
        sequence.append(best[0])
    if closest < 0.02:
        return False
    all_logits = logits(config, weights, ids)
    directory = HERE / name
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_safetensors(directory / "model.safetensors", {key: ("BF16", bits) for key, bits in stored.items()})
    save_safetensors(directory / "reference.safetensors", {
        "logits": ("F32", all_logits.astype(np.float32)), "input_ids": ("I32", ids.astype(np.int32)),
        "greedy": ("I32", np.array(sequence[PROMPT:], np.int32))})
    print(f"{name}: logits up to {np.abs(all_logits).max():.2f}, greedy steps decided by {closest:.3f} or more")
    return True


def check_family(name):
    import torch
    from safetensors.numpy import load_file
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(HERE / name, dtype=torch.float64, attn_implementation="eager",
                                                 experts_implementation="eager")
    reference = load_file(HERE / name / "reference.safetensors")
    ids = torch.tensor(reference["input_ids"], dtype=torch.long)[None]
    with torch.no_grad():
        theirs = model(ids).logits[0].numpy()
        continued = model.generate(ids, max_new_tokens=GREEDY, do_sample=False, eos_token_id=None, pad_token_id=0)
    worst = np.abs(theirs - reference["logits"]).max() / np.abs(theirs).max()
    same = continued[0, PROMPT:].tolist() == reference["greedy"].tolist()
    print(f"{name}: largest difference from transformers {worst:.1e} of the largest logit, greedy tokens equal: {same}")
    return worst < 1e-5 and same


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(not all([check_family(name) for name in FAMILIES]))
    for family, its_config in FAMILIES.items():
        for seed in range(100):
            if write_family(family, its_config, seed):
                break
