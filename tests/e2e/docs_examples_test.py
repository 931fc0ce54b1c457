# SPDX-License-Identifier: Apache-2.0
"""Runs the blocks marked `sh run` of the pages given on the command line, each page in a directory and home of its own."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import harness

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
PAGES = sys.argv[1:]


class DocsExamples(unittest.TestCase):
    def run_page(self, page):
        blocks = re.findall(r"^```sh run\n(.*?)^```", (DOCS / page).read_text(), re.S | re.M)
        self.assertTrue(blocks, f"{page} has no example")
        with tempfile.TemporaryDirectory() as name:
            directory = pathlib.Path(name)
            programs = directory / "bin"
            programs.mkdir()
            (programs / "mhub").symlink_to(os.path.abspath(harness.BIN))
            environment = dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}", MHUB_HOME=str(directory / "home"),
                               MODEL=harness.make_model(directory))
            for number, block in enumerate(blocks, 1):
                work = directory / f"block{number}"
                work.mkdir()
                # What a block has started ends with it.
                script = "set -eu\ntrap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT\n" + block
                done = subprocess.run(["bash", "-c", script], cwd=work, env=environment, capture_output=True, text=True,
                                      timeout=120)
                self.assertEqual(done.returncode, 0, f"{page}, block {number}:\n{block}\n{done.stdout}{done.stderr}")


for page_name in PAGES:
    setattr(DocsExamples, "test_" + re.sub(r"\W", "_", page_name), lambda self, p=page_name: self.run_page(p))

if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
