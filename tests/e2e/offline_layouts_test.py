# SPDX-License-Identifier: Apache-2.0
"""`--layout hf|modelscope`: the unmodified clients find the model without a network. `adopt` takes their caches back."""
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import harness


class OfflineLayouts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.directory = pathlib.Path(cls.temporary.name)
        cls.model = harness.make_model(cls.directory)
        server = cls.directory / "server"
        harness.mhub("import", cls.model, "--name", "org/tiny.model-1", home=server)
        cls.mirror = harness.Running("mirror", "--port", "0", home=server)
        cls.home = cls.directory / "home"
        cls.environment = dict(os.environ, HF_HOME=str(cls.directory / "hf"), MODELSCOPE_CACHE=str(cls.directory / "ms"),
                               HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9", MODELSCOPE_ENDPOINT="http://127.0.0.1:9")

    @classmethod
    def tearDownClass(cls):
        cls.mirror.__exit__()
        cls.temporary.cleanup()

    def download(self, source, layout):
        done = harness.mhub("download", f"{source}:org/tiny.model-1", "--endpoint", self.mirror.url, "--layout", layout,
                            home=self.home, HF_HOME=self.environment["HF_HOME"],
                            MODELSCOPE_CACHE=self.environment["MODELSCOPE_CACHE"])
        return pathlib.Path(done.stdout.splitlines()[-1])

    def client(self, code):
        done = subprocess.run([sys.executable, "-c", code], env=self.environment, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout.split()[-1]

    def test_huggingface_hub_and_transformers(self):
        shown = self.download("hf", "hf")
        found = self.client("import huggingface_hub as h;"
                            "print(h.snapshot_download('org/tiny.model-1', local_files_only=True))")
        self.assertEqual(pathlib.Path(found).resolve(), shown.resolve())
        # Not among the requirements (it brings torch): tried where it is.
        if all(importlib.util.find_spec(name) for name in ("transformers", "torch")):
            self.client("import transformers as t;"
                        "m = t.AutoModelForCausalLM.from_pretrained('org/tiny.model-1', local_files_only=True);"
                        "print(sum(p.numel() for p in m.parameters()))")
        harness.mhub("adopt", self.directory / "hf" / "hub", home=self.directory / "other")
        harness.mhub("verify", "hf:org/tiny.model-1", home=self.directory / "other")

    def test_modelscope(self):
        shown = self.download("ms", "modelscope")
        found = self.client("from modelscope import snapshot_download as s;"
                            "print(s('org/tiny.model-1', local_files_only=True))")
        self.assertEqual(pathlib.Path(found).resolve(), shown.resolve())
        harness.mhub("adopt", self.directory / "ms", home=self.directory / "third")
        harness.mhub("verify", "ms:org/tiny.model-1", home=self.directory / "third")


if __name__ == "__main__":
    unittest.main()
