"""Runs to make, in a database that workers on any number of machines share.

Each run is a trial of one Optuna study. A worker claims a trial, which the database
grants once; shows that it is alive while it trains; and leaves the whole run file in
the trial when it is done. A trial whose worker died is given up, and its run is
queued anew. So a kill at any moment loses no finished run, and none is made twice.
"""

from __future__ import annotations

import hashlib
import math
import os
import platform
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from experiments.config import ConfigError
from experiments.jobs import Job
from experiments.runfiles import FORMAT, RunFile, RunFileError, parsed

optuna.logging.set_verbosity(optuna.logging.ERROR)

#: Seconds without a sign of life after which a worker elsewhere counts as dead.
GRACE = 120.0
#: Optuna's value of a run that diverged: it takes no NaN, and no one reads it.
DIVERGED = 1e9
#: Attempts to open the database, a second apart.
OPENINGS = 3


class Queue:
    """The runs of a sweep.

    The same jobs find the same study again, from any process or machine, as long as
    run files have the same format.

    Args:
        address: Of a database, as SQLAlchemy has it: "sqlite:///runs/sweep.db",
            "postgresql+psycopg://user@host/name".
        jobs: All runs of the sweep.
        grace: Seconds, see `GRACE`. Clocks of the machines must agree better.

    Raises:
        ConfigError: No such database, or it does not answer.
    """

    def __init__(self, address: str, jobs: Sequence[Job], grace: float = GRACE):
        self.jobs = {job.name: job for job in jobs}
        self.grace = grace
        text = "\n".join([str(FORMAT), *sorted(self.jobs)])
        self.study = _study(address, hashlib.sha256(text.encode()).hexdigest()[:16])

    def refill(self) -> None:
        """Queue what no one has made, is making, or is to make."""
        for trial in self._trials(TrialState.RUNNING):
            if self._abandoned(trial):
                self._give_back(trial.number)
        taken = self._names(TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE)
        for name in self.jobs:
            if name not in taken:
                self.study.enqueue_trial({}, user_attrs={"run": name})

    def claim(self) -> tuple[optuna.Trial, Job] | None:
        """A run to make; `None` if all are made or being made."""
        while self._trials(TrialState.WAITING):
            trial = self.study.ask()
            name = trial.user_attrs.get("run")
            if name is not None:
                owner = [platform.node(), os.getpid(), _began(os.getpid())]
                trial.set_user_attr("owner", owner)
            if name is None or self._has_other(trial, name):
                self.study.tell(trial, state=TrialState.PRUNED)
                continue
            return trial, self.jobs[name]
        return None

    @contextmanager
    def alive(self, trial: optuna.Trial) -> Iterator[None]:
        """Show that the trial's worker lives; gives the run back if it fails."""
        done = threading.Event()

        def beat():
            # Who has been given up finishes all the same.
            with suppress(UpdateFinishedTrialError):
                while not done.is_set():
                    trial.set_user_attr("alive", time.time())
                    done.wait(self.grace / 4)

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            done.set()
            thread.join()
            self._give_back(trial)
            raise
        finally:
            done.set()
            thread.join()

    def finish(self, trial: optuna.Trial, record: RunFile) -> None:
        """Leave a run in the database."""
        # Another machine gives the trial up if this one has slept.
        with suppress(UpdateFinishedTrialError):
            trial.set_user_attr("record", record.model_dump_json())
            self.study.tell(trial, _value(record), skip_if_finished=True)
        self.add(trial.user_attrs["run"], record)

    def add(self, name: str, record: RunFile) -> None:
        """Tell of a run that was made elsewhere, unless it is known."""
        if name not in self.finished():
            self.study.add_trial(
                optuna.trial.create_trial(
                    value=_value(record),
                    user_attrs={"run": name, "record": record.model_dump_json()},
                )
            )

    def finished(self) -> set[str]:
        """Names of the runs that are done."""
        return self._names(TrialState.COMPLETE)

    def records(self) -> Iterator[tuple[str, RunFile]]:
        """Every finished run, from whatever machine.

        Raises:
            ConfigError: The database holds a damaged one.
        """
        for trial in self._trials(TrialState.COMPLETE):
            name = trial.user_attrs["run"]
            try:
                yield name, parsed(trial.user_attrs["record"])
            except RunFileError as error:
                raise ConfigError(f"`storage`: {name} in it {error}") from None

    def _trials(self, *states) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states)

    def _give_back(self, trial):
        # Even so it is refused if another finishes it at this moment.
        with suppress(UpdateFinishedTrialError):
            self.study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)

    def _names(self, *states) -> set[str]:
        return {trial.user_attrs["run"] for trial in self._trials(*states)
                if "run" in trial.user_attrs}  # fmt: skip

    def _has_other(self, trial, name) -> bool:
        """Whether another trial has this run: two workers queued it at once.

        Trials are claimed in order, so of two that run the first one goes on.
        """
        return any(
            other.user_attrs.get("run") == name
            and (other.state == TrialState.COMPLETE or other.number < trial.number)
            for other in self._trials(TrialState.COMPLETE, TrialState.RUNNING)
        )

    def _abandoned(self, trial) -> bool:
        host, process, began = trial.user_attrs.get("owner", (None, None, None))
        if host == platform.node():  # a silence may be this machine's own sleep
            return not _exists(process) or _began(process) not in (began, None)
        seen = trial.user_attrs.get("alive", trial.datetime_start.timestamp())
        return time.time() - seen > self.grace


def _study(address, name):
    try:
        shown = make_url(address).render_as_string(hide_password=True)
    except SQLAlchemyError:
        raise ConfigError(
            "`storage` must be a database's address, such as sqlite:///runs/sweep.db "
            f"or postgresql+psycopg://user@host/name. Received: {address!r}"
        ) from None
    waits = {"connect_args": {"timeout": 60}} if "sqlite" in shown else {}
    for left in reversed(range(OPENINGS)):
        try:
            storage = optuna.storages.RDBStorage(address, engine_kwargs=waits)
            return optuna.create_study(
                storage=storage, study_name=f"sweep-{name}", load_if_exists=True
            )
        except (SQLAlchemyError, ImportError, RuntimeError) as error:
            # Two that begin at the same moment get in each other's way once.
            if left:
                time.sleep(1.0)
                continue
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"`storage` does not answer. Received: {shown!r} ({reason})"
            ) from None


def _value(record: RunFile) -> float:
    mse = record.history[-1].mse
    return mse if math.isfinite(mse) else DIVERGED


def _began(process: int) -> str | None:
    """When a process began, if the system says: its number may be used again."""
    try:
        stat = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return None
    # The program's name is in brackets, and may hold brackets itself.
    state, *fields = stat.rpartition(b")")[2].decode().split()
    return "ended" if state == "Z" else fields[18]


def _exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
