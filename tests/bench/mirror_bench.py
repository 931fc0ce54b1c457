#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One file over loopback from `mhub mirror` and from nginx, by the same client (curl), in turns: MB/s for one client and
for many at once, their ratio, and the servers' peak resident memory. One JSON line per case.

  MHUB_BIN=build/bench/bin/mhub python3 tests/bench/mirror_bench.py [--nginx /usr/sbin/nginx] [--mib 512] [--runs 5]
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from download_bench import BIN, write_model

NGINX_CONFIG = """
daemon off; worker_processes auto; pid {root}/nginx.pid; error_log {root}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; tcp_nopush on; client_body_temp_path {root}/t1; proxy_temp_path {root}/t2;
  fastcgi_temp_path {root}/t3; uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
  server {{ listen 127.0.0.1:{port}; root {files}; }} }}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


def peak_mib(process):
    """VmHWM of a process and its children, in MiB."""
    total = 0
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in [process.pid, *children]:
        found = re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
        total += int(found.group(1)) if found else 0
    return round(total / 1024, 1)


def rate(url, size, clients):
    """MB/s over all of `clients` connections of one curl."""
    command = ["curl", "--silent", "--no-progress-meter", "--fail"]
    if clients > 1:
        command += ["--parallel", "--parallel-immediate", "--parallel-max", str(clients)]
    for _ in range(clients):
        command += ["--output", "/dev/null", url]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    return size * clients / 1e6 / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nginx", default=shutil.which("nginx") or "/usr/sbin/nginx")
    parser.add_argument("--mib", type=int, default=512, help="of the file for one client; of all for many")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        root.chmod(0o755)
        models = {1: arguments.mib, arguments.clients: max(1, arguments.mib // arguments.clients)}
        environment = dict(os.environ, MHUB_HOME=str(root / "home"))
        sizes = {}
        for clients, mib in models.items():
            write_model(root / f"m{clients}", mib)
            sizes[clients] = (root / f"m{clients}" / "model.safetensors").stat().st_size
            subprocess.run([BIN, "import", root / f"m{clients}", "--name", f"bench/m{clients}"], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        ports = {"mhub": free_port(), "nginx": free_port()}
        (root / "nginx.conf").write_text(NGINX_CONFIG.format(root=root, files=root, port=ports["nginx"]))
        servers = {"mhub": subprocess.Popen([BIN, "mirror", "--port", str(ports["mhub"])], env=environment,
                                            stdout=subprocess.DEVNULL),
                   "nginx": subprocess.Popen([arguments.nginx, "-c", root / "nginx.conf", "-p", root,
                                              "-e", root / "nginx.log"])}
        try:
            for port in ports.values():
                wait_for(port)
            for clients in models:
                urls = {"mhub": f"http://127.0.0.1:{ports['mhub']}/bench/m{clients}/resolve/main/model.safetensors",
                        "nginx": f"http://127.0.0.1:{ports['nginx']}/m{clients}/model.safetensors"}
                rates = {name: [] for name in urls}
                for name, url in urls.items():
                    rate(url, sizes[clients], clients)  # into the page cache
                for _ in range(arguments.runs):
                    for name, url in urls.items():
                        rates[name].append(rate(url, sizes[clients], clients))
                medians = {name: round(statistics.median(values)) for name, values in rates.items()}
                ratio = statistics.median(a / b for a, b in zip(rates["mhub"], rates["nginx"]))
                print(json.dumps({"bench": "mirror", "clients": clients, "mb_per_s": medians,
                                  "mhub_to_nginx": round(ratio, 2)}), flush=True)
            print(json.dumps({"bench": "mirror", "peak_rss_mib": {name: peak_mib(s) for name, s in servers.items()}}))
        finally:
            for server in servers.values():
                server.terminate()
                server.wait()


if __name__ == "__main__":
    main()
