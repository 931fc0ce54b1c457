# SPDX-License-Identifier: Apache-2.0
"""`mhub serve` as a process, from refusals before it starts to every way it ends (docs/cli.md sections 1 and 5).

A FIFO in the place of the CUDA driver makes a worker hang while it loads its model: dlopen waits for a writer. Opening and
closing it for writing lets the worker go on, on the CPU."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

import harness

MANY = {"prompt": "a", "n": 32, "max_tokens": 3000, "ignore_eos": True, "temperature": 1.0}  # runs for many seconds


def workers(server_pid):
    """Ids of the engine workers that a server has started."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == server_pid and b"engine-worker" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except (OSError, IndexError):
            pass  # it has ended meanwhile
    return found


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def health(url):
    return harness.request(url + "/health", timeout=5)[0]


def hang_next_worker(plugins):
    (plugins / "libmhub_cuda.so").touch()
    os.mkfifo(plugins / "libcuda.so.1")


def with_plugins(plugins):
    return {"MHUB_BACKEND_PATH": str(plugins), "LD_LIBRARY_PATH": str(plugins)}


class OpenStream:
    """A streamed answer of which only the first event has been read."""

    def __init__(self, url):
        call = urllib.request.Request(url + "/v1/completions", json.dumps({**MANY, "stream": True}).encode(),
                                      {"Content-Type": "application/json"})
        self.answer = urllib.request.urlopen(call, timeout=120)
        assert self.answer.readline().startswith(b"data: ")

    def rest(self):
        """(events up to [DONE], whether [DONE] came)"""
        events = []
        for line in self.answer:
            if line.strip() == b"data: [DONE]":
                return events, True
            if line.startswith(b"data: "):
                events.append(json.loads(line[6:]))
        return events, False


class ServeLifecycle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.home = pathlib.Path(cls.directory.name)
        cls.model = cls.home / "tiny"
        subprocess.run([os.environ["MHUB_TINY_MODEL"], str(cls.model)], check=True)
        # Restarts until the server gives up take a minute: they run beside the other tests.
        broken = cls.home / "broken"
        subprocess.run([os.environ["MHUB_TINY_MODEL"], str(broken)], check=True)
        cls.hopeless = harness.Running("serve", broken, "--port", "0", "--device", "cpu", home=cls.home)
        (broken / "config.json").write_text("{")
        os.kill(workers(cls.hopeless.process.pid)[0], signal.SIGKILL)

    @classmethod
    def tearDownClass(cls):
        cls.hopeless.__exit__()
        cls.directory.cleanup()

    def serve(self, *options, **environment):
        return harness.Running("serve", self.model, "--port", "0", *options, home=self.home, **environment)

    def start_hanging(self, plugins):
        """A server whose worker hangs while it loads: (process, worker's id)."""
        hang_next_worker(plugins)
        server = subprocess.Popen([harness.BIN, "serve", str(self.model), "--port", "0"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True,
                                  env=dict(os.environ, MHUB_HOME=str(self.home), **with_plugins(plugins)))
        return server, wait_for(lambda: workers(server.pid), 10, "a worker")[0]

    def assert_refused(self, done, code, words):
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertRegex(done.stderr, f"^mhub: .*{words}")

    def test_an_open_bind_without_a_key_is_exit_8(self):
        done = harness.mhub("serve", self.model, "--host", "0.0.0.0", "--port", "0", home=self.home, check=False)
        self.assert_refused(done, 8, "--api-key")

    def test_a_port_in_use_is_exit_3(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = harness.mhub("serve", self.model, "--port", port, home=self.home, check=False)
        self.assert_refused(done, 3, f"{port}.*--port")

    def test_a_model_that_is_not_there(self):
        self.assert_refused(harness.mhub("serve", "org/none", home=self.home, check=False), 6, "org/none.*mhub download")
        self.assert_refused(harness.mhub("serve", "./none", home=self.home, check=False), 6, "./none: no such file.*; check")

    def test_the_log_says_what_runs(self):
        with self.serve(MHUB_BACKEND_PATH=str(self.home)) as server:
            log = server.errors()
            self.assertRegex(log, r"engine: ready architecture=LlamaForCausalLM device=\".+\" compute=\S+ .*weights_mib=\d+")
            self.assertRegex(log, r"mhub: computing on the CPU: .*libmhub_cuda\.so does not exist")

    def test_sigterm_lets_running_answers_finish_and_refuses_new_ones(self):
        with self.serve("--shutdown-timeout", "300") as server:
            stream = OpenStream(server.url)
            server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: health(server.url) == 503, 1, "health 503")
            self.assertEqual(harness.request(server.url + "/v1/completions", {"prompt": "a"})[0], 503)
            events, done = stream.rest()
            self.assertTrue(done)
            self.assertFalse([event for event in events if "error" in event])
            self.assertEqual({choice["finish_reason"] for event in events for choice in event["choices"]},
                             {None, "length"})
            self.assertEqual(server.process.wait(10), 0)

    def test_after_the_shutdown_timeout_answers_end_with_an_error(self):
        with self.serve("--shutdown-timeout", "0.2") as server:
            stream = OpenStream(server.url)
            server.process.send_signal(signal.SIGTERM)
            events, done = stream.rest()
            self.assertTrue(done)
            self.assertEqual(events[-1]["error"]["code"], 503)
            self.assertEqual(server.process.wait(10), 0)

    def test_a_second_signal_ends_it_at_once(self):
        with self.serve() as server:
            stream = OpenStream(server.url)
            server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: health(server.url) == 503, 1, "health 503")
            worker = workers(server.process.pid)[0]
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(5), 143)  # the thread sanitizer sleeps a second
            wait_for(lambda: not pathlib.Path(f"/proc/{worker}").exists(), 5, "the worker's end")
            stream.answer.close()

    def test_a_killed_worker_ends_its_streams_and_comes_back(self):
        with tempfile.TemporaryDirectory() as directory:
            plugins = pathlib.Path(directory)
            with self.serve(**with_plugins(plugins)) as server:
                stream = OpenStream(server.url)
                hang_next_worker(plugins)
                first = workers(server.process.pid)[0]
                os.kill(first, signal.SIGKILL)
                events, done = stream.rest()
                self.assertTrue(done)
                self.assertEqual(events[-1]["error"]["code"], 500)
                wait_for(lambda: health(server.url) == 503, 1, "health 503")
                self.assertEqual(harness.request(server.url + "/v1/completions", {"prompt": "a"})[0], 503)
                open(plugins / "libcuda.so.1", "wb").close()
                wait_for(lambda: health(server.url) == 200, 20, "health 200")
                self.assertEqual(harness.request(server.url + "/v1/completions", {"prompt": "a"})[0], 200)
                self.assertNotEqual(workers(server.process.pid), [first])
                self.assertRegex(server.errors(), r"engine: worker ended error=\".*signal 9.*\" failures=1 restart_in_ms=0")
                self.assertIn("engine: worker is ready again", server.errors())

    def test_sigterm_while_the_model_loads_ends_it(self):
        with tempfile.TemporaryDirectory() as plugins:
            server, worker = self.start_hanging(pathlib.Path(plugins))
            server.send_signal(signal.SIGTERM)
            out, err = server.communicate(timeout=5)
            self.assertEqual((server.returncode, out, err), (0, "", ""))
            self.assertFalse(pathlib.Path(f"/proc/{worker}").exists())

    def test_a_worker_that_is_frozen_while_it_loads_is_noticed(self):
        with tempfile.TemporaryDirectory() as plugins:
            server, worker = self.start_hanging(pathlib.Path(plugins))
            os.kill(worker, signal.SIGSTOP)
            out, err = server.communicate(timeout=30)
            self.assertEqual((server.returncode, out), (1, ""), err)
            self.assertRegex(err, "^mhub: .*said nothing while it loaded")

    def test_z_when_restarts_do_not_help_it_exits(self):
        self.assertEqual(self.hopeless.process.wait(150), 7, self.hopeless.errors())
        self.assertRegex(self.hopeless.errors().strip().splitlines()[-1], r"^mhub: the engine worker failed 9 times in a row")


if __name__ == "__main__":
    unittest.main()
