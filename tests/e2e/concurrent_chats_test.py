# SPDX-License-Identifier: Apache-2.0
"""64 streamed chats at once through a KV pool that holds a quarter of what they need: every text equals the same
request sent alone (greedy, float32), no block leaks, prefix hits are counted."""
import concurrent.futures
import re
import tempfile
import time
import unittest

import harness

CHATS = 64
MAX_TOKENS = 160
POOL_BYTES = 256 << 20


def chat_text(url, messages):
    text, usage = "", None
    for event in harness.stream(url + "/v1/chat/completions",
                                {"messages": messages, "max_tokens": MAX_TOKENS, "temperature": 0,
                                 "stream_options": {"include_usage": True}}):
        if "error" in event:
            raise AssertionError(event["error"])
        for choice in event["choices"]:
            text += choice["delta"].get("content") or ""
        usage = event.get("usage") or usage
    return text, usage


def prompts():
    system = {"role": "system", "content": "You are a terse assistant. " * 4}
    subjects = ["the sea", "北京的著名景点", "a small engine", "tax law", "emoji 😀 joins", "x" * 40, "list: 1, 2, 3", "time"]
    return [[system, {"role": "user", "content": f"Question {i}: say something about {subjects[i % len(subjects)]}. " * (1 + i % 5)}]
            for i in range(CHATS)]


class ConcurrentChats(unittest.TestCase):
    def test_answers_do_not_depend_on_company(self):
        with tempfile.TemporaryDirectory() as directory:
            model = harness.make_model(directory)
            chats = prompts()
            with harness.Running("serve", model, "--port", "0", "--dtype", "float32", "--no-enable-prefix-caching",
                                 "--kv-cache-memory-bytes", str(POOL_BYTES), home=directory) as server:
                alone = [chat_text(server.url, chat) for chat in chats]
                block_bytes = POOL_BYTES // self.num_blocks(server)
            tokens = sum(usage["total_tokens"] for _, usage in alone)
            blocks = max(tokens // 4, max(u["total_tokens"] for _, u in alone) + 16) // 16 + 1
            length = max(u["total_tokens"] for _, u in alone) + 16
            with harness.Running("serve", model, "--port", "0", "--dtype", "float32", "--max-model-len", str(length),
                                 "--kv-cache-memory-bytes", str(blocks * block_bytes), home=directory) as server:
                with concurrent.futures.ThreadPoolExecutor(CHATS) as pool:
                    together = list(pool.map(lambda chat: chat_text(server.url, chat), chats))
                for i, (a, b) in enumerate(zip(alone, together)):
                    self.assertEqual(a[0], b[0], f"chat {i}")
                deadline = time.monotonic() + 5
                while harness.metric(server.url, "vllm:kv_cache_usage_perc") != 0 and time.monotonic() < deadline:
                    time.sleep(0.05)
                self.assertEqual(harness.metric(server.url, "vllm:kv_cache_usage_perc"), 0)
                self.assertGreater(harness.metric(server.url, "vllm:prefix_cache_hits_total"), 0)
                self.assertGreater(harness.metric(server.url, "vllm:num_preemptions_total"), 0)
                print(f"blocks {blocks}, tokens {tokens}, preemptions {harness.metric(server.url, 'vllm:num_preemptions_total'):.0f}, "
                      f"prefix hits {harness.metric(server.url, 'vllm:prefix_cache_hits_total'):.0f} of "
                      f"{harness.metric(server.url, 'vllm:prefix_cache_queries_total'):.0f} tokens")

    @staticmethod
    def num_blocks(server):
        """Blocks of the pool, from what the server says it planned."""
        _, text = harness.request(server.url + "/metrics")
        line = next(line for line in text.splitlines() if line.startswith("vllm:cache_config_info{"))
        return int(re.search(r'num_gpu_blocks="(\d+)"', line).group(1))


if __name__ == "__main__":
    unittest.main()
