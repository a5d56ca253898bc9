"""The queue of a sweep: what is granted, given back, finished, and told to others."""

import math
import os
import subprocess
import sys
import time

import optuna
import pytest
from config_files import made, tiny
from rich.console import Console

from experiments.config import ConfigError, load_config
from experiments.jobs import jobs
from experiments.queue import Queue, _began
from experiments.runfiles import FORMAT
from experiments.sweep import gather, sweep


@pytest.fixture
def every(tmp_path):
    return jobs([load_config(tiny(tmp_path))])


@pytest.fixture
def address(tmp_path):
    return f"sqlite:///{tmp_path / 'sweep.db'}"


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


@pytest.mark.quick(1)
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
