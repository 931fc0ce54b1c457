# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments of `mhub download` from `mhub mirror`: right bytes, little fetched again, no row before the
end. MHUB_KILLS: how many (default 10)."""
import hashlib
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

import harness

KILLS = int(os.environ.get("MHUB_KILLS", "10"))
BYTES_PER_SECOND = 100e6


class CountingRelay:
    """Forwards connections to a server at a limited rate and counts what the server sent."""

    def __init__(self, port):
        self.target, self.sent, self.lock = port, 0, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.forward, args=(client, server), daemon=True).start()

    def forward(self, client, server):
        with client, server:
            requests = threading.Thread(target=self.pump, args=(client, server, False), daemon=True)
            requests.start()
            self.pump(server, client, True)
            requests.join()

    def pump(self, source, sink, count):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
                if count:
                    with self.lock:  # one bucket for all connections
                        self.sent += len(data)
                        time.sleep(len(data) / BYTES_PER_SECOND)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class MirrorKill(unittest.TestCase):
    def test_random_moments(self):
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            source = directory / "model"
            subprocess.run([os.environ["MHUB_TINY_MODEL"], str(source)], check=True)
            large = random.Random(5).randbytes(96 << 20)
            (source / "extra.bin").write_bytes(large)
            total = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
            wanted = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in source.iterdir()}
            harness.mhub("import", source, "--name", "org/large", home=directory / "seed")
            with harness.Running("mirror", "--port", "0", home=directory / "seed") as mirror:
                relay = CountingRelay(urllib.parse.urlsplit(mirror.url).port)
                self.kill_until_done(relay, directory / "home", total, wanted)
                relay.listener.close()

    def kill_until_done(self, relay, home, total, wanted):
        moments = random.Random(42)
        killed = completed = 0
        while killed < KILLS or not completed:
            child = subprocess.Popen([harness.BIN, "download", "org/large", "--endpoint", relay.url, "--quiet"],
                                     env=dict(os.environ, MHUB_HOME=str(home)), stdout=subprocess.PIPE, text=True)
            if killed < KILLS:
                try:
                    child.wait(moments.uniform(0, 0.4))
                except subprocess.TimeoutExpired:
                    child.kill()
            printed = child.communicate(timeout=120)[0]
            rows = json.loads(harness.mhub("list", "--json", home=home).stdout)["models"]
            if child.returncode != 0:
                self.assertEqual(child.returncode, -9)
                killed += 1
                if not rows:
                    continue  # a row means that the kill came between the last commit and the exit
            else:
                self.assertEqual([row["path"] for row in rows], [printed.strip()])
            completed += 1
            self.assertEqual([row["bytes"] for row in rows], [total])
            path = pathlib.Path(rows[0]["path"])
            self.assertEqual({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in path.iterdir()}, wanted)
            shutil.rmtree(home)
        again = max(0, relay.sent - completed * total)
        print(f"{killed} kills, {completed} complete downloads of {total} bytes, "
              f"{again / KILLS / 1024:.0f} KiB fetched again a kill")
        self.assertLess(again / KILLS, 4 << 20)


if __name__ == "__main__":
    unittest.main()
