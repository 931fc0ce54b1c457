# SPDX-License-Identifier: Apache-2.0
"""Writes quantized copies of a float checkpoint as other programs write them: AutoGPTQ and GPTQModel, AutoAWQ,
llm-compressor (compressed-tensors) and AutoFP8. Each writer follows the files of its program exactly (tensor names,
types, packing, config.json); how codes are chosen is plain rounding, since a reader cannot tell.

    foreign_quantized.py MODEL_DIRECTORY FORM OUTPUT_DIRECTORY [--float FLOAT_DIRECTORY]

FORM is a key of FORMS. --float also writes the same matrices, dequantized, as a float32 checkpoint, which any other
implementation can load to say what the quantized copy must give."""
import json
import pathlib
import shutil
import sys

import numpy as np

DTYPES = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16, "I64": np.int64, "I32": np.int32, "I8": np.int8,
          "F8_E4M3": np.uint8}


# --- checkpoints ---

def bf16_bits(x):
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def read_checkpoint(directory):
    """name -> (dtype, float32 array) of all safetensors files."""
    tensors = {}
    for path in sorted(pathlib.Path(directory).glob("*.safetensors")):
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        for name, entry in json.loads(data[8:8 + size]).items():
            if name == "__metadata__":
                continue
            first, last = entry["data_offsets"]
            raw = np.frombuffer(data[8 + size + first:8 + size + last], DTYPES[entry["dtype"]])
            values = from_bf16(raw) if entry["dtype"] == "BF16" else raw.astype(np.float32)
            tensors[name] = (entry["dtype"], values.reshape(entry["shape"]))
    return tensors


def write_checkpoint(path, tensors):
    """tensors: name -> (dtype, array whose bytes are those of the file)."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    arrays = [(name, dtype, np.asarray(array, DTYPES[dtype])) for name, (dtype, array) in tensors.items()]
    for name, dtype, array in arrays:
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, _, array in arrays:
            file.write(array.tobytes())


def as_stored(dtype, values):
    """An array whose bytes are `values` in `dtype`, and the values that it then has."""
    if dtype == "BF16":
        bits = bf16_bits(values)
        return bits, from_bf16(bits)
    stored = values.astype(DTYPES[dtype])
    return stored, stored.astype(np.float32)


# --- what the writers share ---

def groups_of(weight, group):
    """[rows, groups, group] of a [rows, cols] matrix; group None: one over all columns."""
    rows, cols = weight.shape
    return weight.reshape(rows, -1, group or cols)


def activation_order(weight):
    """Columns by falling weight norm, in place of a calibration's diagonal."""
    return np.argsort(-np.square(weight).sum(0), kind="stable")


def pack_words(codes, bits, axis):
    """Non-negative codes, 32 / bits a word along `axis`, first in the low bits."""
    codes = np.moveaxis(codes.astype(np.uint32), axis, -1)
    per_word = 32 // bits
    pad = -codes.shape[-1] % per_word
    codes = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, pad)])
    codes = codes.reshape(*codes.shape[:-1], -1, per_word)
    words = np.bitwise_or.reduce(codes << (bits * np.arange(per_word, dtype=np.uint32)), axis=-1)
    return np.ascontiguousarray(np.moveaxis(words.astype(np.uint32), -1, axis)).view(np.int32)


# --- GPTQ ---

def gptq_module(weight, *, bits, group, sym, desc_act, v2):
    """AutoGPTQ's (v1) or GPTQModel's (v2) tensors of one Linear, and the matrix that they mean."""
    rows, cols = weight.shape
    size, top = group or cols, 2**bits - 1
    order = activation_order(weight) if desc_act else np.arange(cols)
    g_idx = np.empty(cols, np.int32)
    g_idx[order] = np.arange(cols) // size
    by_group = groups_of(weight[:, order], size)
    low, high = np.minimum(by_group.min(2), 0), np.maximum(by_group.max(2), 0)
    if sym:
        high = np.maximum(-low, high)
        low = -high
    span = np.where(high > low, high - low, 1)
    scales = (span / top).astype(np.float16)
    zeros = np.full(scales.shape, (top + 1) // 2) if sym else np.rint(-low / (span / top)).astype(np.int64)
    scale = scales.astype(np.float32)
    codes = np.clip(np.rint(weight / scale[:, g_idx]) + zeros[:, g_idx], 0, top)
    stored_zeros = zeros if v2 else (zeros - 1) & top
    tensors = {"qweight": ("I32", pack_words(codes.T, bits, 0)), "qzeros": ("I32", pack_words(stored_zeros.T, bits, 1)),
               "scales": ("F16", scales.T), "g_idx": ("I32", g_idx)}
    return tensors, (codes - zeros[:, g_idx]).astype(np.float32) * scale[:, g_idx]


def gptq_config(*, bits, group, sym, desc_act, v2):
    config = {"bits": bits, "group_size": group or -1, "damp_percent": 0.01, "desc_act": desc_act, "sym": sym,
              "true_sequential": True, "quant_method": "gptq", "checkpoint_format": "gptq_v2" if v2 else "gptq"}
    if v2:
        config.update({"lm_head": False, "pack_dtype": "int32", "meta": {"quantizer": ["gptqmodel:2.2.0"]}})
    else:
        config.update({"static_groups": False, "model_name_or_path": None, "model_file_base_name": "model"})
    return config


# --- AWQ ---

AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def awq_module(weight, *, group):
    """AutoAWQ's WQLinear_GEMM."""
    by_group = groups_of(weight, group)
    low, high = by_group.min(2), by_group.max(2)
    span = np.maximum(high - low, 1e-5) / 15
    zeros = np.clip(-np.rint(low / span), 0, 15)
    scales = span.astype(np.float16)
    scale = scales.astype(np.float32)
    g = np.arange(weight.shape[1]) // (group or weight.shape[1])
    codes = np.clip(np.rint(weight / scale[:, g]) + zeros[:, g], 0, 15)

    def packed(values):  # [n, out] -> [n, out / 8]
        values = values.reshape(values.shape[0], -1, 8)[:, :, AWQ_ORDER]
        return pack_words(values.reshape(values.shape[0], -1), 4, 1)

    tensors = {"qweight": ("I32", packed(codes.T)), "qzeros": ("I32", packed(zeros.T)), "scales": ("F16", scales.T)}
    return tensors, (codes - zeros[:, g]).astype(np.float32) * scale[:, g]


def awq_config(*, group):
    return {"bits": 4, "group_size": group or -1, "modules_to_not_convert": None, "quant_method": "awq",
            "version": "gemm", "zero_point": True}


# --- compressed-tensors ---

def packed_module(weight, *, bits, group, sym, actorder=None, dtype="BF16"):
    """llm-compressor's pack-quantized: signed codes, scales and zero points [out, groups]."""
    rows, cols = weight.shape
    size, bottom, top = group or cols, -2**(bits - 1), 2**(bits - 1) - 1
    order = activation_order(weight) if actorder == "group" else np.arange(cols)
    g_idx = np.empty(cols, np.int32)
    g_idx[order] = np.arange(cols) // size
    by_group = groups_of(weight[:, order], size)
    low, high = np.minimum(by_group.min(2), 0), np.maximum(by_group.max(2), 0)
    span = 2 * np.maximum(-low, high) if sym else high - low
    stored, scale = as_stored(dtype, np.maximum(span, 1e-8) / (top - bottom))
    zeros = np.zeros(scale.shape) if sym else np.clip(bottom - np.rint(low / scale), bottom, top)
    codes = np.clip(np.rint(weight / scale[:, g_idx]) + zeros[:, g_idx], bottom, top)
    tensors = {"weight_packed": ("I32", pack_words(codes - bottom, bits, 1)), "weight_scale": (dtype, stored),
               "weight_shape": ("I64", np.array([rows, cols]))}
    if not sym:
        tensors["weight_zero_point"] = ("I32", pack_words(zeros - bottom, bits, 0))
    if actorder == "group":
        tensors["weight_g_idx"] = ("I32", g_idx)
    return tensors, (codes - zeros[:, g_idx]).astype(np.float32) * scale[:, g_idx]


def int8_module(weight, *, dtype="BF16"):
    """W8A8: one scale a row; activations are quantized per token at run time."""
    stored, scale = as_stored(dtype, np.maximum(np.abs(weight).max(1, keepdims=True), 1e-8) / 127.5)
    codes = np.clip(np.rint(weight / scale), -128, 127)
    return {"weight": ("I8", codes), "weight_scale": (dtype, stored)}, codes.astype(np.float32) * scale


def e4m3_values():
    """The 127 values of F8_E4M3 from 0 up, by their bits."""
    bits = np.arange(127)
    exponent, mantissa = bits >> 3, bits & 7
    return np.where(exponent == 0, mantissa / 512, (1 + mantissa / 8) * 2.0**(exponent - 7)).astype(np.float32)


E4M3 = e4m3_values()


def float8_module(weight, *, channels, dtype="BF16", static=False):
    """FP8: one scale, or one a row; `static`: with the activations' scale."""
    largest = np.abs(weight).max(1, keepdims=True) if channels else np.abs(weight).max().reshape(1)
    stored, scale = as_stored(dtype, np.maximum(largest, 1e-8) / 448)
    exact = np.clip(np.abs(weight / scale), 0, 448)
    upper = np.clip(np.searchsorted(E4M3, exact), 1, 126)
    below, above = exact - E4M3[upper - 1], E4M3[upper] - exact
    codes = np.where((below < above) | ((below == above) & (upper % 2 == 1)), upper - 1, upper)  # ties to even bits
    negative = weight < 0
    tensors = {"weight": ("F8_E4M3", codes + 128 * negative), "weight_scale": (dtype, stored)}
    if static:
        tensors["input_scale"] = (dtype, as_stored(dtype, np.array([0.03], np.float32))[0])
    return tensors, np.where(negative, -E4M3[codes], E4M3[codes]) * scale


def compressed_config(form, weights, activations=None):
    common = {"actorder": None, "block_structure": None, "dynamic": False, "group_size": None, "observer": "minmax",
              "observer_kwargs": {}}
    if activations:
        activations = {**common, "observer": None, "num_bits": 8, "symmetric": True, **activations}
    group = {"format": form, "input_activations": activations, "output_activations": None, "targets": ["Linear"],
             "weights": {**common, **weights}}
    return {"config_groups": {"group_0": group}, "format": form, "global_compression_ratio": None,
            "ignore": ["lm_head"], "kv_cache_scheme": None, "quant_method": "compressed-tensors",
            "quantization_status": "compressed", "sparsity_config": {}, "transform_config": {}, "version": "0.12.2"}


def packed_config(*, bits, group, sym, actorder=None):
    return compressed_config("pack-quantized", {"num_bits": bits, "type": "int", "symmetric": sym, "actorder": actorder,
                                                "strategy": "group" if group else "channel", "group_size": group})


# --- forms: name -> (writer of a module, quantization_config, dtype of all other tensors or None = as they are) ---

def gptq_form(**how):
    return lambda w: gptq_module(w, **how), gptq_config(**how), "F16"


def packed_form(**how):
    return lambda w: packed_module(w, **how), packed_config(**how), None


FORMS = {
    "gptq-v1-4bit": gptq_form(bits=4, group=32, sym=True, desc_act=False, v2=False),
    "gptq-v1-4bit-asym-desc_act": gptq_form(bits=4, group=32, sym=False, desc_act=True, v2=False),
    "gptq-v1-8bit-channel": gptq_form(bits=8, group=None, sym=True, desc_act=False, v2=False),
    "gptq-v2-4bit-desc_act": gptq_form(bits=4, group=32, sym=True, desc_act=True, v2=True),
    "gptq-v2-8bit-asym": gptq_form(bits=8, group=32, sym=False, desc_act=False, v2=True),
    "awq-4bit": (lambda w: awq_module(w, group=32), awq_config(group=32), "F16"),
    "packed-4bit": packed_form(bits=4, group=32, sym=True),
    "packed-4bit-asym": packed_form(bits=4, group=32, sym=False),
    "packed-4bit-actorder-group": packed_form(bits=4, group=32, sym=True, actorder="group"),
    "packed-4bit-asym-actorder-group": packed_form(bits=4, group=32, sym=False, actorder="group"),
    "packed-4bit-actorder-weight": packed_form(bits=4, group=32, sym=True, actorder="weight"),
    "packed-8bit-channel": packed_form(bits=8, group=None, sym=True),
    "w8a8-int8": (int8_module, compressed_config(
        "int-quantized", {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"},
        {"type": "int", "strategy": "token", "dynamic": True}), None),
    "fp8-dynamic": (lambda w: float8_module(w, channels=True), compressed_config(
        "float-quantized", {"num_bits": 8, "type": "float", "symmetric": True, "strategy": "channel"},
        {"type": "float", "strategy": "token", "dynamic": True}), None),
    "fp8-static": (lambda w: float8_module(w, channels=False, static=True), compressed_config(
        "float-quantized", {"num_bits": 8, "type": "float", "symmetric": True, "strategy": "tensor"},
        {"type": "float", "strategy": "tensor", "dynamic": False}), None),
    "autofp8": (lambda w: float8_module(w, channels=False, static=True, dtype="F32"),
                {"quant_method": "fp8", "activation_scheme": "static", "ignored_layers": ["lm_head"]}, None),
}


def quantize(source, form, output, float_output=None):
    """Writes FORMS[form] of the checkpoint in `source` to `output`, and what it means in floats to `float_output`."""
    write_module, quantization, other_dtype = FORMS[form]
    source, output = pathlib.Path(source), pathlib.Path(output)
    quantized, floats = {}, {}
    for name, (dtype, values) in read_checkpoint(source).items():
        if name.endswith("_proj.weight") and ".layers." in name:
            tensors, floats[name] = write_module(values)
            module = name.removesuffix("weight")
            quantized.update({module + part: tensor for part, tensor in tensors.items()})
        else:
            stored, floats[name] = as_stored(other_dtype or dtype, values)
            quantized[name] = (other_dtype or dtype, stored)
    with open(source / "config.json", encoding="utf-8") as file:
        config = json.load(file)
    for directory, tensors, extra in [(output, quantized, {"quantization_config": quantization}),
                                      (float_output, {k: ("F32", v) for k, v in floats.items()},
                                       {"torch_dtype": "float32"})]:
        if directory is None:
            continue
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for file in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
            if (source / file).exists():
                shutil.copy(source / file, directory / file)
        write_checkpoint(directory / "model.safetensors", tensors)
        if other_dtype == "F16" and "quantization_config" in extra:
            extra["torch_dtype"] = "float16"
        with open(directory / "config.json", "w", encoding="utf-8") as file:
            json.dump({**config, **extra}, file, indent=2)
        if form.startswith("gptq") and "quantization_config" in extra:
            with open(directory / "quantize_config.json", "w", encoding="utf-8") as file:
                json.dump(quantization, file, indent=2)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    target = None
    if "--float" in arguments:
        at = arguments.index("--float")
        target = arguments[at + 1]
        del arguments[at:at + 2]
    if len(arguments) != 3 or arguments[1] not in FORMS:
        sys.exit(f"{__doc__}\nforms: {', '.join(FORMS)}")
    quantize(arguments[0], arguments[1], arguments[2], target)
