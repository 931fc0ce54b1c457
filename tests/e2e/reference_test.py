# SPDX-License-Identifier: Apache-2.0
"""SmolLM2-135M through the whole server against stored reference results of another implementation: tokens, rendered
chats, log-probabilities, greedy text up to the first near-tie, perplexity. Arguments: MODEL REFERENCE.json TEXT."""
import json
import math
import sys
import tempfile
import unittest

import harness

MODEL, REFERENCE, TEXT = sys.argv.pop(1), sys.argv.pop(1), sys.argv.pop(1)
NEAR_TIE = 0.01


class Reference(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(REFERENCE, encoding="utf-8") as file:
            cls.reference = json.load(file)
        cls.directory = tempfile.TemporaryDirectory()
        cls.server = harness.Running("serve", MODEL, "--port", "0", "--dtype", "float32", home=cls.directory.name)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()
        cls.directory.cleanup()

    def post(self, path, **body):
        status, answer = harness.request(self.server.url + path, body, timeout=300)
        self.assertEqual(status, 200, answer)
        return answer

    def follow(self, case, got, reference, what):
        """Equal token by token up to the first step whose reference gap is a near-tie."""
        for step, (a, b) in enumerate(zip(got, reference)):
            if case["gap"][step] < NEAR_TIE:
                return
            self.assertEqual(a, b, f"{what} {case['id']} step {step}")

    def test_tokens(self):
        for case in self.reference["tokenizer"]["cases"]:
            ids = self.post("/tokenize", prompt=case["text"], add_special_tokens=False)["tokens"]
            self.assertEqual(ids, case["ids"], case["text"])
            ids = self.post("/tokenize", prompt=case["text"], add_special_tokens=True)["tokens"]
            self.assertEqual(ids, case["ids_special"], case["text"])

    def test_chats(self):
        for case in self.reference["chat"]["cases"]:
            ids = self.post("/tokenize", messages=case["messages"], add_generation_prompt=True)["tokens"]
            self.assertEqual(ids, case["ids"], case["id"])
            answer = self.post("/v1/chat/completions", messages=case["messages"], temperature=0, max_tokens=48,
                               return_token_ids=True)["choices"][0]
            self.follow(case, answer["token_ids"], case["greedy"], "chat")
            if min(case["gap"]) >= NEAR_TIE:
                self.assertEqual(answer["message"]["content"], case["text"])
                self.assertEqual(answer["finish_reason"], case["finish_reason"])

    def test_greedy_and_logprobs(self):
        worst = 0
        for case in self.reference["prompts"]["cases"]:
            answer = self.post("/v1/completions", prompt=case["text"], temperature=0, max_tokens=64, ignore_eos=True,
                               logprobs=5, return_token_ids=True, return_tokens_as_token_ids=True)["choices"][0]
            self.follow(case, answer["token_ids"], case["greedy"], "prompt")
            # Feed the reference's own tokens, so that every step is comparable whatever was chosen at a near-tie.
            fed = self.post("/v1/completions", prompt=case["ids"] + case["greedy"], max_tokens=0, echo=True, logprobs=5,
                            return_tokens_as_token_ids=True)["choices"][0]["logprobs"]
            for step, top5 in enumerate(case["top5"]):
                at = len(case["ids"]) + step
                got = {int(name.split(":")[1]): value for name, value in fed["top_logprobs"][at].items()}
                for token, logprob in top5:
                    if token in got:
                        worst = max(worst, abs(got[token] - logprob))
                self.assertIn(top5[0][0], got)
        print(f"largest difference of a top-5 logprob: {worst:.2e}")
        self.assertLess(worst, 1e-3)

    def test_perplexity(self):
        wanted = self.reference["perplexity"]
        with open(TEXT, encoding="utf-8") as file:
            ids = self.post("/tokenize", prompt=file.read(), add_special_tokens=False)["tokens"][:16384]
        self.assertEqual(ids, wanted["ids"])
        total, scored = 0.0, 0
        for start in range(0, len(ids), 1024):
            window = self.post("/v1/completions", prompt=ids[start:start + 1024], max_tokens=0, echo=True, logprobs=0)
            values = window["choices"][0]["logprobs"]["token_logprobs"][1:]
            total -= sum(values)
            scored += len(values)
        perplexity = math.exp(total / scored)
        print(f"perplexity {perplexity:.6f}, reference {wanted['ppl']:.6f}")
        self.assertAlmostEqual(perplexity, wanted["ppl"], delta=0.001)


if __name__ == "__main__":
    unittest.main()
