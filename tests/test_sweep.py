"""The sweep as a process: killed, on a full disk, on two machines."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from config_files import ROOT, tiny

from experiments.runfiles import load_run


def start(path, runs, *more):
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "experiments", str(path), "--runs", str(runs),
         "--figure", str(runs) + ".png", *more],
        env=environment, cwd=ROOT, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def kill(process):
    """The command and its workers, without a chance to clean up."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def histories(runs):
    return {
        path.name: [(x.cost, x.evaluations, x.mse) for x in load_run(path).history]
        for path in runs.glob("*.json")
    }


@pytest.mark.slow
def test_a_sweep_killed_twenty_times_ends_like_an_undisturbed_one(tmp_path):
    # 3 schemes x 8 seeds = 24 runs
    path = tiny(tmp_path, seeds=list(range(8)), budget=32_000)
    runs, rng = tmp_path / "killed", np.random.default_rng(7)
    seen = {}
    for kills in range(20):
        process = start(path, runs, "--workers", "2")
        began, longest = time.time(), rng.uniform(0.5, 14)
        time.sleep(rng.uniform(0, 0.5))
        # At most about one run a kill, so that however fast the machine is none is left
        # without work; every fifth time one at least, however slow it is.
        while len(made := list(runs.glob("*.json"))) <= kills:
            waited = time.time() - began
            if waited > longest and (kills % 5 or len(made) > len(seen)):
                break
            assert waited < 120 and process.poll() is None
            time.sleep(0.02)
        kill(process)
        for file in runs.glob("*.json"):
            load_run(file)  # whole at any moment
            seen.setdefault(file, file.read_bytes())
    assert len(seen) < 24, "it was done before it was killed often enough"
    print(f"{len(seen)} of 24 runs stood after 20 kills")
    process = start(path, runs, "--workers", "2")
    out, _ = process.communicate(timeout=400)
    assert process.returncode == 0, out
    undisturbed = tmp_path / "undisturbed"
    process = start(path, undisturbed, "--workers", "2")
    out, _ = process.communicate(timeout=400)
    assert process.returncode == 0, out
    assert len(histories(runs)) == 24
    assert histories(runs) == histories(undisturbed)
    # A run made again would have the same history, and other times.
    assert len(seen) >= 4
    assert {file: file.read_bytes() for file in seen} == seen


def command_line(process):
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


@pytest.mark.slow
def test_workers_end_with_the_command_that_started_them(tmp_path):
    path = tiny(tmp_path, budget=3_200_000, seeds=[1])
    process = start(path, tmp_path / "runs", "--workers", "1")
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    deadline = time.time() + 60
    while len(workers := Path(children).read_text().split()) < 2:
        assert time.time() < deadline and process.poll() is None
        time.sleep(0.1)
    time.sleep(6)
    process.kill()  # the command alone
    process.communicate()
    deadline = time.time() + 60
    # A zombie has no command line.
    while any(command_line(worker) for worker in workers):
        assert time.time() < deadline, workers
        time.sleep(0.2)


@pytest.mark.slow
def test_a_full_disk_loses_nothing_else(tmp_path):
    """A small file system of its own; needs root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)],
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    try:
        path = tiny(tmp_path, budget=160_000, evaluate_every=60)
        process = start(path, disk / "runs", "--workers", "1")
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 2, out
        assert "Traceback" not in out
        assert "No space left" in out or "disk is full" in out
        for file in (disk / "runs").glob("*.json"):
            load_run(file)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# Two machines and a database


def postgres_programs():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture
def postgres(tmp_path_factory):
    """The address of a database server on this machine, for one test."""
    pytest.importorskip("psycopg")
    programs = postgres_programs()
    if programs is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql")
    folder = tmp_path_factory.mktemp("postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = []
    if os.getuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
        for parent in folder.parents[:2]:
            parent.chmod(0o755)
        own = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data = folder / "data"

    def run(*command):
        subprocess.run(
            [*own, *map(str, command)], check=True, capture_output=True, cwd=folder
        )

    run(programs / "initdb", "-D", data, "-A", "trust", "-U", "sweep")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}"
    run(programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options,
        "start")  # fmt: skip
    try:
        yield f"postgresql+psycopg://sweep@127.0.0.1:{port}/postgres"
    finally:
        run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")


@pytest.mark.slow
def test_two_machines_share_a_sweep_and_one_is_killed(tmp_path, postgres):
    """Two commands with folders of their own, as on two machines."""
    path = tiny(tmp_path, seeds=list(range(4)), budget=16_000)
    folders = [tmp_path / "first", tmp_path / "second"]
    first, second = (
        start(path, folder, "--workers", "1", "--storage", postgres)
        for folder in folders
    )
    deadline = time.time() + 120
    while not list(folders[0].glob("*.json")):
        assert time.time() < deadline and first.poll() is None
        time.sleep(0.1)
    kill(first)
    out, _ = second.communicate(timeout=300)
    assert second.returncode == 0, out
    # What the first one made, the second one wrote too.
    ours = histories(folders[1])
    assert len(ours) == 12
    theirs = histories(folders[0])
    assert theirs and all(ours[name] == theirs[name] for name in theirs)
