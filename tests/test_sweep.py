"""The sweep: its queue, what a kill leaves, other machines, bad addresses."""

import contextlib
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml
from rich.console import Console

from experiments.__main__ import main
from experiments.callbacks import Evaluation
from experiments.config import ConfigError, load_config
from experiments.jobs import jobs
from experiments.queue import Queue, _began
from experiments.runs import FORMAT, Run, load_run, save_run
from experiments.sweep import gather, sweep

ROOT = Path(__file__).parent.parent

TINY = {
    "title": "Tiny",
    "claim": "none",
    "command": "make test",
    "minutes": 1,
    "task": {
        "name": "one_object",
        "variant": "paper",
        "n": 32,
        "samples": 256,
        "validation": 64,
        "seed": 1,
    },
    "hidden": [8],
    "topology": "path",
    "batch_size": 16,
    "budget": 1600,
    "evaluate_every": 200,
    "seeds": [1, 2],
    "schemes": [
        {"label": "default"},
        {"label": "V", "depth": 1, "smoothing_steps": 2},
        {"label": "coarsened", "depth": 1, "coarsen_data": True},
    ],
    "quick": {"budget": 400, "evaluate_every": 100},
}


def written(folder, **changes):
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY | changes, sort_keys=False))
    return path


@pytest.fixture
def every(tmp_path):
    return jobs([load_config(written(tmp_path))])


@pytest.fixture
def address(tmp_path):
    return f"sqlite:///{tmp_path / 'sweep.db'}"


def made(job, folder, mse=0.1):
    history = [Evaluation(0.0, 0, 0.0, 0.25), Evaluation(1600.0, 1600, 1.0, mse)]
    run = Run(history, 1.0, "levels", 0.2)
    return save_run(folder, job.settings, run, "tiny", "make test")


# The queue


def test_every_run_is_granted_once(tmp_path, every, address):
    queues = [Queue(address, every) for _ in range(3)]
    for queue in queues:  # as if started at the same moment
        queue.refill()
    claimed = []
    while claims := [claim for queue in queues if (claim := queue.claim())]:
        claimed += [job.name for _, job in claims]
    assert sorted(claimed) == sorted(job.name for job in every)


def test_a_run_queued_twice_is_made_once(every, address):
    queue = Queue(address, every)
    for _ in range(2):
        for job in every:
            queue.study.enqueue_trial({}, user_attrs={"run": job.name})
    claimed = []
    while claim := queue.claim():
        claimed.append(claim[1].name)
    assert sorted(claimed) == sorted(job.name for job in every)


@pytest.mark.parametrize("waited_for", [True, False])
def test_runs_of_a_dead_process_are_given_to_another(every, address, waited_for):
    queue = Queue(address, every)
    queue.refill()
    trial, job = queue.claim()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    host, began = trial.user_attrs["owner"][0], _began(child.pid)
    trial.set_user_attr("owner", [host, child.pid, began])
    others = {queue.claim()[1].name for _ in every[1:]}
    assert queue.claim() is None and job.name not in others
    queue.refill()
    assert queue.claim() is None
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie from now on
    if waited_for:
        child.wait()
    queue.refill()
    assert queue.claim()[1].name == job.name
    child.communicate()


def test_a_process_with_the_number_of_a_dead_one_is_not_taken_for_it(every, address):
    queue = Queue(address, every)
    queue.refill()
    trial, job = queue.claim()
    host, process, began = trial.user_attrs["owner"]
    trial.set_user_attr("owner", [host, process, began + "0"])
    queue.refill()
    assert job.name in queue._names(optuna.trial.TrialState.WAITING)


def test_a_machine_that_slept_keeps_its_runs(every, address):
    queue = Queue(address, every)
    queue.refill()
    trial, job = queue.claim()
    trial.set_user_attr("alive", time.time() - 1e6)
    queue.refill()
    assert job.name not in queue._names(optuna.trial.TrialState.WAITING)


def test_a_run_that_was_given_up_is_finished_all_the_same(tmp_path, every, address):
    queue = Queue(address, every, grace=0.04)
    queue.refill()
    trial, job = queue.claim()
    with queue.alive(trial):
        queue._give_back(trial)  # another machine does
        time.sleep(0.1)
        queue.finish(trial, made(job, tmp_path))
    assert [name for name, _ in queue.records()] == [job.name]
    queue.refill()
    names = [queue.claim()[1].name for _ in every[1:]]
    assert queue.claim() is None and job.name not in names


def test_runs_that_diverged_are_done(tmp_path, every, address):
    queue = Queue(address, every)
    queue.refill()
    trial, job = queue.claim()
    queue.finish(trial, made(job, tmp_path, math.nan))
    other = next(x for x in every if x is not job)
    queue.add(other.name, made(other, tmp_path, math.nan))
    assert queue.finished() == {job.name, other.name}
    queue.refill()
    assert queue.finished().isdisjoint(queue.claim()[1].name for _ in every[2:])
    assert all(math.isnan(run.history[-1].mse) for _, run in queue.records())


def test_run_files_of_another_format_are_another_study(
    tmp_path, every, address, monkeypatch
):
    Queue(address, every).add(every[0].name, made(every[0], tmp_path))
    assert Queue(address, every).finished()
    monkeypatch.setattr("experiments.queue.FORMAT", FORMAT + 1)
    assert not Queue(address, every).finished()


def test_a_silent_machine_is_given_up_after_the_grace(every, address):
    queue = Queue(address, every, grace=30.0)
    queue.refill()
    trial, job = queue.claim()
    trial.set_user_attr("owner", ["elsewhere", 1, "1"])
    trial.set_user_attr("alive", time.time() - 20)
    queue.refill()
    assert job.name not in queue._names(optuna.trial.TrialState.WAITING)
    trial.set_user_attr("alive", time.time() - 40)
    queue.refill()
    waiting = queue._names(optuna.trial.TrialState.WAITING)
    assert job.name in waiting


def test_a_failed_run_goes_back(every, address):
    queue = Queue(address, every)
    queue.refill()
    trial, _ = queue.claim()
    with pytest.raises(RuntimeError), queue.alive(trial):
        raise RuntimeError
    queue.refill()
    names = [queue.claim()[1].name for _ in every]
    assert sorted(names) == sorted(job.name for job in every)


def test_runs_reach_other_machines_through_the_database(tmp_path, every, address):
    here, there = tmp_path / "here", tmp_path / "there"
    queue = Queue(address, every)
    queue.refill()
    trial, job = queue.claim()
    queue.finish(trial, made(job, here))
    elsewhere = Queue(address, every)
    assert elsewhere.finished() == {job.name}
    gather(elsewhere, there)
    assert (there / job.name).read_bytes() == (here / job.name).read_bytes()


def test_runs_made_before_are_told_once(tmp_path, every, address):
    queue = Queue(address, every)
    for _ in range(2):
        queue.add(every[0].name, made(every[0], tmp_path))
    queue.refill()
    assert [name for name, _ in queue.records()] == [every[0].name]
    assert every[0].name not in {queue.claim()[1].name for _ in every[1:]}


def test_a_machine_with_every_run_tells_the_others(tmp_path, every, address):
    for job in every:
        made(job, tmp_path)
    config = load_config(tmp_path / "tiny.yaml")
    sweep([config], tmp_path, 1, "make test", Console(), address)
    assert Queue(address, every).finished() == {job.name for job in every}


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("runs/sweep.db", "must be a database's address.*Received: 'runs/sweep.db'"),
        ("nosuch://here/x", "does not answer.*nosuch"),
        ("sqlite:////nowhere/at/all/x.db", "does not answer.*unable to open"),
        ("postgresql+psycopg://me:secret@127.0.0.1:1/x", "does not answer.*127.0.0.1"),
    ],
)
def test_wrong_addresses_are_refused_and_passwords_not_shown(every, address, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Queue(address, every)
    assert "secret" not in str(caught.value)


# The command


def test_bad_files_and_old_ones_are_named_and_made_again(tmp_path, capsys):
    schemes = [*TINY["schemes"], {"label": "start", "start_depth": 1}]
    path, runs = written(tmp_path, seeds=[1], schemes=schemes), tmp_path / "runs"
    first, second, third, fourth = jobs([load_config(path)])
    record = made(first, runs)
    made(second, runs)
    (runs / second.name).write_text(record.model_dump_json()[:100])
    (runs / third.name).write_text('{"format": 1}')
    made(fourth, runs)
    others = json.loads((runs / fourth.name).read_text())
    others["settings"]["batch_size"] = 999
    (runs / fourth.name).write_text(json.dumps(others))
    (runs / "x.json.part").write_text("half")
    command = [str(path), "--runs", str(runs), "--workers", "1"]
    command += ["--figure", str(tmp_path / "figure.png")]
    assert main(command) == 0
    out = capsys.readouterr().out.replace("\n", "")
    assert f"skipped: {runs / second.name} is not a whole run file" in out
    assert f"skipped: {runs / third.name} has format 1" in out
    assert load_run(runs / first.name) == record
    assert load_run(runs / second.name).history[-1].cost > 1400
    assert load_run(runs / third.name).history[-1].cost > 1400
    assert load_run(runs / fourth.name).settings["batch_size"] == 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "`workers` must be at least 1. Received: workers=0"),
        (["--workers", "-1"], "`workers` must be at least 1. Received: workers=-1"),
        (["--seeds", "3", "-1"], "`seeds` must be at least 0. Received: seeds=[3, -1]"),
    ],
)
def test_bad_options_are_refused_by_name(tmp_path, capsys, options, message):
    runs = tmp_path / "runs"
    assert main([str(written(tmp_path)), "--runs", str(runs), *options]) == 2
    assert message in capsys.readouterr().out
    assert not runs.exists()


def test_budgets_in_evaluations_and_in_seconds(tmp_path):
    schemes = TINY["schemes"][1:]
    for unit, budget in (("evaluations", 3200), ("seconds", 0.3)):
        folder = tmp_path / unit
        folder.mkdir()
        path = written(folder, budget=budget, budget_unit=unit, seeds=[1],
                       schemes=schemes)  # fmt: skip
        command = [str(path), "--runs", str(folder / "runs"), "--workers", "1"]
        assert main([*command, "--figure", str(folder / "figure.png")]) == 0
        for job in jobs([load_config(path)]):
            run = load_run(folder / "runs" / job.name)
            spent = [getattr(x, unit) for x in run.history]
            if unit == "evaluations":
                assert 0.9 * budget < spent[-1] <= budget
            else:
                assert spent[-2] < budget <= spent[-1]


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
    path = written(tmp_path, seeds=list(range(8)), budget=32_000)
    runs, rng = tmp_path / "killed", np.random.default_rng(7)
    kills, seen = 0, {}
    while kills < 20:
        process = start(path, runs, "--workers", "2")
        time.sleep(rng.uniform(0.5, 14))
        # However slow the machine is, some runs are made between the kills.
        deadline = time.time() + 120
        while kills % 5 == 0 and len(list(runs.glob("*.json"))) <= len(seen):
            assert time.time() < deadline and process.poll() is None
            time.sleep(0.1)
        assert process.poll() is None, "it was done before it was killed often enough"
        kill(process)
        kills += 1
        for file in runs.glob("*.json"):
            load_run(file)  # whole at any moment
            seen.setdefault(file, file.read_bytes())
    print(f"{kills} kills, {len(histories(runs))} of 24 runs then finished")
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


def test_workers_end_with_the_command_that_started_them(tmp_path):
    path = written(tmp_path, budget=3_200_000, seeds=[1])
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
        path = written(tmp_path, budget=160_000, evaluate_every=60)
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
    path = written(tmp_path, seeds=list(range(4)), budget=16_000)
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
