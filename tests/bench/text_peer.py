# SPDX-License-Identifier: Apache-2.0
"""text_bench and the tokenizers package on the same documents, one thread, in turns, with the ratio of their rates.
    python tests/bench/text_peer.py build/bench/bench/text_bench MODEL_DIR"""
import glob
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
from tokenizers import Tokenizer  # noqa: E402  (after the settings above)

BYTES = 1 << 20
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHINESE = ("北京的著名景点有哪些 故宫 天坛 颐和园 长城 在 这里 我们 可以 看到 历史 和 文化 的 结合 模型 服务器 需要 很快 地 处理 请求 "
           "天气 今天 非常 好 适合 出门 散步 学习 语言 是 一个 长期 过程 数据 越 多 结果 越 准确 因此 请 耐心 等待").split()


def english():
    return "".join(pathlib.Path(f).read_text() for f in sorted(glob.glob(f"{ROOT}/**/*.md", recursive=True)))


def code():
    return "".join(pathlib.Path(f).read_text() for f in sorted(glob.glob(f"{ROOT}/libserve/**/*.cpp", recursive=True)))


def chinese():
    random.seed(1)
    return "".join("".join(random.choices(CHINESE, k=12)) + random.choice("，。？！") + ("\n" if i % 5 == 4 else "")
                   for i in range(20000))


def documents(data):
    while data:
        newline = data.find(b"\n", 4096) if len(data) > 4096 else -1
        end = len(data) if newline < 0 else newline + 1
        yield data[:end].decode()
        data = data[end:]


def best_seconds(work):
    best = 1e9
    for _ in range(3):
        start = time.process_time()  # CPU time, as text_bench counts: a busy machine does not change the ratio
        work()
        best = min(best, time.process_time() - start)
    return best


def main(bench, model_dir):
    tokenizer = Tokenizer.from_file(f"{model_dir}/tokenizer.json")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    load = best_seconds(lambda: Tokenizer.from_file(f"{model_dir}/tokenizer.json"))
    with tempfile.TemporaryDirectory() as folder:
        for name, make in (("english", english), ("code", code), ("chinese", chinese)):
            data = make().encode()[:BYTES].decode(errors="ignore").encode()
            path = pathlib.Path(folder, name + ".txt")
            path.write_bytes(data)
            ours = {}
            for line in subprocess.run([bench, model_dir, str(path)], check=True, capture_output=True,
                                       text=True).stdout.splitlines():
                case = json.loads(line)
                ours[case["bench"]] = case
            docs = list(documents(data))
            ids = [tokenizer.encode(d, add_special_tokens=False).ids for d in docs]
            assert sum(map(len, ids)) == ours["encode"]["tokens"], "the two disagree about the tokens"
            theirs = {
                "encode": best_seconds(lambda: [tokenizer.encode(d, add_special_tokens=False) for d in docs]),
                "decode": best_seconds(lambda: [tokenizer.decode(i, skip_special_tokens=False) for i in ids]),
            }
            for case, seconds in theirs.items():
                rate = len(data) / seconds / 1e6
                print(json.dumps({"bench": case, "text": name, "mb_per_s": ours[case]["mb_per_s"],
                                  "peer_mb_per_s": round(rate, 1), "ratio": round(ours[case]["mb_per_s"] / rate, 1)}))
    print(json.dumps({"bench": "load", "ms": ours["load"]["ms"], "peer_ms": round(load * 1e3, 1),
                      "ratio": round(load * 1e3 / ours["load"]["ms"], 1)}))
    print(json.dumps(ours["render_100_messages"], ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:3])
