# SPDX-License-Identifier: Apache-2.0
"""Starts the real program for end-to-end tests. MHUB_BIN: the program; MHUB_TINY_MODEL: makes a tiny random model;
MHUB_E2E_MODEL (optional): a real model directory or GGUF file to use instead."""
import json
import os
import pathlib
import re
import select
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

BIN = os.environ["MHUB_BIN"]


def make_model(directory):
    """Path of a model to serve: the real one of MHUB_E2E_MODEL, else a tiny random Llama with tokenizer and template."""
    real = os.environ.get("MHUB_E2E_MODEL")
    if real:
        return real
    path = pathlib.Path(directory) / "tiny"
    subprocess.run([os.environ["MHUB_TINY_MODEL"], str(path)], check=True)
    return str(path)


def mhub(*arguments, home=None, check=True, timeout=120, **environment):
    """Runs one command; returns the CompletedProcess with text output."""
    env = dict(os.environ, **environment)
    if home:
        env["MHUB_HOME"] = str(home)
    done = subprocess.run([BIN, *map(str, arguments)], env=env, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode != 0:
        raise AssertionError(f"mhub {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Running:
    """A long-running mhub command that prints its address on stdout when it is ready."""

    def __init__(self, *arguments, home=None, timeout=60, **environment):
        env = dict(os.environ, **environment)
        if home:
            env["MHUB_HOME"] = str(home)
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([BIN, *map(str, arguments)], env=env, stdout=subprocess.PIPE, stderr=self.log)
        self.url = None
        deadline = time.monotonic() + timeout
        text = b""
        while self.url is None:
            ready, _, _ = select.select([self.process.stdout], [], [], 0.1)
            if ready:
                chunk = os.read(self.process.stdout.fileno(), 4096)
                text += chunk
                found = re.search(rb"(http://[0-9.:]+\d)\s", text)
                if found:
                    self.url = found.group(1).decode()
                elif not chunk:
                    raise AssertionError(f"ended before it was ready: {self.errors()}")
            elif time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"not ready after {timeout} s: {self.errors()}")

    def errors(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self.log.close()


def request(url, body=None, headers=None, timeout=120):
    """(status, parsed JSON or text) of one HTTP call."""
    data = None if body is None else json.dumps(body).encode()
    call = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(call, timeout=timeout) as answer:
            text, status = answer.read().decode(), answer.status
    except urllib.error.HTTPError as failed:
        text, status = failed.read().decode(), failed.code
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def stream(url, body, headers=None, timeout=300):
    """Yields the parsed events of an SSE answer up to [DONE]."""
    call = urllib.request.Request(url, json.dumps({**body, "stream": True}).encode(),
                                  {"Content-Type": "application/json", **(headers or {})})
    with urllib.request.urlopen(call, timeout=timeout) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                if line.strip() == b"data: [DONE]":
                    return
                yield json.loads(line[6:])
    raise AssertionError("the stream ended without [DONE]")


def metric(url, name):
    """Sum of a metric's samples over its labels."""
    _, text = request(url + "/metrics")
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(re.escape(name) + r"[ {]", line))
