"""Starts workers on this machine, and all of them again when one ends badly.

On a cluster, whatever starts your jobs (Slurm, Kubernetes) does that.
"""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack


def launch(script, arguments, count, most=20):
    """Run a script in so many processes until all are done, at most so many times."""
    for _ in range(most):
        workers = start(script, arguments, addresses(count))
        codes = [None]
        while None in codes and not any(codes):  # until all are done, or one has failed
            time.sleep(0.1)
            codes = [worker.poll() for worker in workers]
        for worker in workers:
            worker.kill()
            worker.wait()
        if not any(codes):
            return
    sys.exit(f"The workers did not get done in {most} attempts.")


def addresses(count):
    """Addresses of this machine that nobody uses."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def start(script, arguments, cluster):
    """A process for each address of a cluster."""
    workers = []
    for index in range(len(cluster)):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": {"worker": cluster}, "task": task})
        environment = os.environ | {"TF_CONFIG": config}
        command = [sys.executable, script, *map(str, arguments)]
        workers.append(subprocess.Popen(command, env=environment))
    return workers
