# SPDX-License-Identifier: Apache-2.0
"""`mhub download` and a pull-through `mhub mirror` from a mirror that others wrote: olah from the Python package index,
serving a git repository of this test's own. Byte for byte. Left out where this Python has no olah, or the machine no git."""
import importlib.util
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import harness


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def git(directory, *arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True,
                          text=True).stdout.strip()


def make_repository(directory):
    """Files of every size around the client's limits; returns the commit."""
    noise = random.Random(3)
    directory.mkdir(parents=True)
    (directory / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}')
    (directory / "empty.txt").write_bytes(b"")
    (directory / "model.bin").write_bytes(noise.randbytes(9 << 20))
    (directory / "deep" / "er").mkdir(parents=True)
    (directory / "deep" / "er" / "a name with spaces.txt").write_bytes(noise.randbytes(70_001))
    git(directory, "init", "-q")
    git(directory, "add", ".")
    git(directory, "commit", "-q", "-m", "one")
    return git(directory, "rev-parse", "HEAD")


@unittest.skipUnless(importlib.util.find_spec("olah"), "this Python has no olah")
@unittest.skipUnless(shutil.which("git"), "no git here, which olah reads its local repositories with")
class OlahUpstream(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        self.repository = self.root / "mirrors" / "models" / "org" / "name"
        self.commit = make_repository(self.repository)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        (self.root / "olah.toml").write_text(
            f'[basic]\nhost = "127.0.0.1"\nport = {port}\nrepos-path = "{self.root}/cache"\n'
            f'mirrors-path = ["{self.root}/mirrors"]\n[accessibility]\noffline = true\n')
        program = pathlib.Path(sys.executable).parent / "olah-cli"
        self.log = open(self.root / "olah.log", "w+")
        self.addCleanup(self.log.close)
        server = subprocess.Popen([program, "-c", self.root / "olah.toml", "--log-path", self.root / "logs"],
                                  cwd=self.root, stdout=self.log, stderr=subprocess.STDOUT,
                                  env=dict(os.environ, HOME=str(self.root)))
        self.addCleanup(lambda: (server.terminate(), server.wait()))
        for _ in range(300):
            try:
                return socket.create_connection(("127.0.0.1", port)).close()
            except OSError:
                self.assertIsNone(server.poll(), (self.root / "olah.log").read_text())
                time.sleep(0.1)
        self.fail("olah does not listen")

    def expect_same(self, printed):
        got = pathlib.Path(printed.strip().splitlines()[-1])
        wanted = {str(path.relative_to(self.repository)): path.read_bytes()
                  for path in self.repository.rglob("*") if path.is_file() and ".git" not in path.parts}
        found = {str(path.relative_to(got)): path.read_bytes() for path in got.rglob("*") if path.is_file()}
        self.assertEqual(sorted(found), sorted(wanted))
        for path, content in wanted.items():
            self.assertTrue(found[path] == content, path)

    def test_download(self):
        home = self.root / "home"
        done = harness.mhub("download", "hf:org/name", "--endpoint", self.url, home=home)
        self.expect_same(done.stdout)
        self.assertIn(self.commit, done.stdout)
        harness.mhub("verify", "org/name", home=home)
        self.assertIn("complete", harness.mhub("download", "hf:org/name", "--endpoint", self.url, home=home).stderr)

    def test_as_upstream_of_our_mirror(self):
        with harness.Running("mirror", "--port", "0", "--upstream", "huggingface", home=self.root / "middle",
                             HF_ENDPOINT=self.url) as mirror:
            done = harness.mhub("download", "hf:org/name", "--endpoint", mirror.url, home=self.root / "client")
            self.expect_same(done.stdout)


if __name__ == "__main__":
    unittest.main()
