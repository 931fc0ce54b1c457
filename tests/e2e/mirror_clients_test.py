# SPDX-License-Identifier: Apache-2.0
"""The unmodified modelscope and huggingface_hub clients against `mhub mirror`, byte for byte."""
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import harness


def digests(directory):
    """{relative path: sha256} of all files that belong to the model (client bookkeeping left out)."""
    found = {}
    for path in sorted(pathlib.Path(directory).rglob("*")):
        relative = path.relative_to(directory)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            found[str(relative)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


class MirrorClients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.home = pathlib.Path(cls.directory.name) / "home"
        cls.model = harness.make_model(cls.directory.name)
        source = pathlib.Path(cls.model)
        harness.mhub("import", source, "--name", "org/tiny.model-1", home=cls.home)
        cls.expected = digests(source) if source.is_dir() else {source.name: hashlib.sha256(source.read_bytes()).hexdigest()}
        cls.mirror = harness.Running("mirror", "--port", "0", home=cls.home)

    @classmethod
    def tearDownClass(cls):
        cls.mirror.__exit__()
        cls.directory.cleanup()

    def client(self, code, **environment):
        """Runs Python code in a process of its own, so that each client reads its environment afresh."""
        target = tempfile.mkdtemp(dir=self.directory.name)
        env = dict(os.environ, HOME=target, **environment)
        done = subprocess.run([sys.executable, "-c", code, target], env=env, capture_output=True, text=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return pathlib.Path(target) / "out"

    def test_huggingface_hub(self):
        out = self.client("import sys; from huggingface_hub import snapshot_download; "
                          "snapshot_download('org/tiny.model-1', local_dir=sys.argv[1] + '/out')", HF_ENDPOINT=self.mirror.url)
        self.assertEqual(digests(out), self.expected)

    def test_hf_command(self):
        out = self.client("import sys, subprocess, os; subprocess.run([os.path.join(os.path.dirname(sys.executable), 'hf'), "
                          "'download', 'org/tiny.model-1', '--local-dir', sys.argv[1] + '/out'], check=True)",
                          HF_ENDPOINT=self.mirror.url)
        self.assertEqual(digests(out), self.expected)

    def test_modelscope(self):
        out = self.client("import sys; from modelscope import snapshot_download; "
                          "snapshot_download('org/tiny.model-1', local_dir=sys.argv[1] + '/out')",
                          MODELSCOPE_ENDPOINT=self.mirror.url)
        self.assertEqual(digests(out), self.expected)

    def test_modelscope_command(self):
        out = self.client("import sys, subprocess, os; subprocess.run([os.path.join(os.path.dirname(sys.executable), 'modelscope'), "
                          "'download', '--local_dir', sys.argv[1] + '/out', '--model', 'org/tiny.model-1'], check=True)",
                          MODELSCOPE_ENDPOINT=self.mirror.url)
        self.assertEqual(digests(out), self.expected)

    def test_mhub_itself_with_the_modelscope_command_line(self):
        for source in ("modelscope", "huggingface"):
            target = pathlib.Path(tempfile.mkdtemp(dir=self.directory.name)) / "out"
            done = harness.mhub("download", "--local_dir", target, "--model", "org/tiny.model-1", "--source", source,
                                "--endpoint", self.mirror.url, home=str(target) + "-home")
            self.assertEqual(done.stdout.splitlines()[-1], str(target))
            self.assertEqual(digests(target), self.expected)


if __name__ == "__main__":
    unittest.main()
