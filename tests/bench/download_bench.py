#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Downloads over loopback from `mhub mirror`: verified MB/s of `mhub download`, of the modelscope and huggingface_hub
clients where this Python has them, and the milliseconds of a warm re-run. One JSON line per case. --files N: a
repository of so many files of 4 KB instead of one large file.

  MHUB_BIN=build/bench/bin/mhub python3 tests/bench/download_bench.py [--mib 1024 | --files 10000] [--runs 3]
                                                                      [--directory DIR]
"""
import argparse
import importlib.util
import json
import os
import pathlib
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

BIN = os.environ.get("MHUB_BIN", "mhub")
CLIENTS = {
    "modelscope": "from modelscope import snapshot_download as get; get('bench/model', local_dir=__import__('sys').argv[1])",
    "huggingface_hub": "from huggingface_hub import snapshot_download as get; get('bench/model', local_dir=__import__('sys').argv[1])",
}


def write_model(directory, mib, small_files=0):
    """A directory that counts as a model: one safetensors file of random bytes, and small files beside it."""
    directory.mkdir()
    (directory / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}')
    size = mib << 20
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    with open(directory / "model.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(header)) + header)
        for _ in range(mib):
            out.write(os.urandom(1 << 20))
    for number in range(small_files):
        folder = directory / f"part{number // 1000:03}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number:05}.json").write_bytes(os.urandom(4096))
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def timed(command, **environment):
    start = time.perf_counter()
    subprocess.run(command, check=True, env=dict(os.environ, **environment), stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def report(case, seconds, size=None):
    line = {"bench": "download", "case": case, "median_s": round(statistics.median(seconds), 4), "runs": len(seconds)}
    if size:
        line["mb_per_s"] = round(size / 1e6 / statistics.median(seconds), 1)
    print(json.dumps(line), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--files", type=int, default=0, help="so many files of 4 KB instead of --mib")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--directory", help="where the files go; default a temporary directory")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as scratch:
        root = pathlib.Path(scratch)
        size = write_model(root / "source", 0 if arguments.files else arguments.mib, arguments.files)
        subprocess.run([BIN, "import", root / "source", "--name", "bench/model"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env=dict(os.environ, MHUB_HOME=str(root / "seed")))
        mirror = subprocess.Popen([BIN, "mirror", "--port", "0"], stdout=subprocess.PIPE, text=True,
                                  env=dict(os.environ, MHUB_HOME=str(root / "seed")))
        try:
            url = re.search(r"http://\S+", mirror.stdout.readline()).group(0)
            endpoints = {"MODELSCOPE_ENDPOINT": url, "HF_ENDPOINT": url, "HOME": str(root / "user")}
            for source in ("modelscope", "huggingface"):
                command = [BIN, "download", "bench/model", "--source", source, "--quiet"]
                cold, warm = [], []
                for _ in range(arguments.runs):
                    home = root / "home"
                    shutil.rmtree(home, ignore_errors=True)
                    cold.append(timed(command, MHUB_HOME=str(home), **endpoints))
                    warm.append(timed(command, MHUB_HOME=str(home), **endpoints))
                report(f"mhub, {source} dialect", cold, size)
                report(f"mhub, {source} dialect, warm re-run", warm)
                shutil.rmtree(home, ignore_errors=True)
            for client, code in CLIENTS.items():
                if importlib.util.find_spec(client) is None:
                    continue
                seconds = []
                for _ in range(arguments.runs):
                    shutil.rmtree(root / "client", ignore_errors=True)
                    seconds.append(timed([sys.executable, "-c", code, str(root / "client")], **endpoints))
                report(f"{client} client", seconds, size)
        finally:
            mirror.terminate()
            mirror.wait()


if __name__ == "__main__":
    main()
