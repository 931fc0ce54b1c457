# SPDX-License-Identifier: Apache-2.0
"""Quantized copies of a checkpoint as other programs write them (foreign_quantized.py), served by the real program:
each has the perplexity of its own matrices in floats, and one near the source's. MODEL TEXT as arguments: a real model;
else a tiny random one. Where torch and transformers are installed, they say what the floats give."""
import json
import math
import os
import pathlib
import sys
import tempfile
import unittest

import foreign_quantized
import harness

MODEL, TEXT = (sys.argv.pop(1), sys.argv.pop(1)) if len(sys.argv) > 2 else (None, None)
WINDOW, WINDOWS = 512, 4 if MODEL else 1
CLOSE = 1e-4  # of a perplexity to that of the same matrices in floats
# Of the perplexity to the source's: (4 bits, 8 bits). Random weights have no meaning to lose.
EXPECTED = (0.10, 0.02) if MODEL else (0.5, 0.05)

try:
    import torch
    import transformers
except ImportError:
    torch = transformers = None


def served_perplexity(model, home, ids, dtype):
    with harness.Running("serve", model, "--port", "0", "--dtype", dtype, home=home) as server:
        total, scored = 0.0, 0
        for start in range(0, len(ids), WINDOW):
            status, answer = harness.request(server.url + "/v1/completions",
                                             {"prompt": ids[start:start + WINDOW], "max_tokens": 0, "echo": True,
                                              "logprobs": 0}, timeout=300)
            if status != 200:
                raise AssertionError(answer)
            values = answer["choices"][0]["logprobs"]["token_logprobs"][1:]
            total -= sum(values)
            scored += len(values)
    return math.exp(total / scored)


def real_tokens(model):
    """Ids below it have a token; rows of the embedding past it are padding, and no part of a probability."""
    with open(pathlib.Path(model) / "tokenizer.json", encoding="utf-8") as file:
        tokenizer = json.load(file)
    return 1 + max([*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])])


def torch_perplexity(model, ids):
    loaded = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    total, scored, tokens = 0.0, 0, real_tokens(model)
    with torch.no_grad():
        for start in range(0, len(ids), WINDOW):
            window = torch.tensor([ids[start:start + WINDOW]])
            logprobs = loaded(window).logits[0, :-1, :tokens].double().log_softmax(-1)
            total -= logprobs.gather(1, window[0, 1:, None]).sum().item()
            scored += window.shape[1] - 1
    return math.exp(total / scored)


class ForeignQuantized(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.directory.name)
        cls.source = MODEL or harness.make_model(cls.root)
        if MODEL:
            with harness.Running("serve", MODEL, "--port", "0", home=cls.root) as server, \
                    open(TEXT, encoding="utf-8") as file:
                _, answer = harness.request(server.url + "/tokenize",
                                            {"prompt": file.read(200_000), "add_special_tokens": False})
            cls.ids = answer["tokens"][:WINDOW * WINDOWS]
        else:
            cls.ids = [(i * 37 + i * i * 11) % 250 for i in range(WINDOW * WINDOWS)]
        cls.original = served_perplexity(cls.source, cls.root, cls.ids, "float32")

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def check(self, form):
        quantized, floats = self.root / form, self.root / (form + "-float")
        foreign_quantized.quantize(self.source, form, quantized, floats)
        got = served_perplexity(quantized, self.root, self.ids, "float32")
        fast = served_perplexity(quantized, self.root, self.ids, "auto")
        if torch:
            wanted = torch_perplexity(floats, self.ids)
        else:
            wanted = served_perplexity(floats, self.root, self.ids, "float32")
        print(f"{form}: perplexity {got:.6f} ({fast:.6f} fast), its floats {wanted:.6f} by "
              f"{'transformers' if torch else 'mhub'}, the source {self.original:.6f}")
        self.assertLess(abs(got - wanted), CLOSE * wanted)
        four_bits = "4bit" in form or "awq" in form
        self.assertLess(abs(got / self.original - 1), EXPECTED[0 if four_bits else 1])
        self.assertLess(abs(fast / got - 1), 0.01)


for name in foreign_quantized.FORMS:
    setattr(ForeignQuantized, "test_" + name.replace("-", "_"), lambda self, form=name: self.check(form))


class Packing(unittest.TestCase):
    def test_codes_are_packed_as_compressed_tensors_packs_them(self):
        try:
            from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
        except ImportError:
            self.skipTest("no compressed-tensors")
        codes = torch.randint(-8, 8, (16, 40), dtype=torch.int8)
        for dim in (0, 1):
            ours = foreign_quantized.pack_words(codes.numpy() + 8, 4, dim)
            self.assertEqual(ours.tolist(), pack_to_int32(codes, 4, packed_dim=dim).tolist())


if __name__ == "__main__":
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    unittest.main()
