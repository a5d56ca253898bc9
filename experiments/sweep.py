"""Making the runs of configs: by several processes, that any of them may be killed."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Container, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from experiments.config import Config, ConfigError
from experiments.jobs import Job, jobs
from experiments.queue import Queue
from experiments.quiet import without_remarks
from experiments.runfiles import write_run
from experiments.runs import find_run, folders, save_run

#: Compiled programs that a worker keeps.
PROGRAMS = 4
#: Seconds between two looks for work that others may give up.
PAUSE = 1.0


def sweep(
    configs: Sequence[Config],
    folder: Path,
    workers: int,
    command: str,
    console: Console,
    storage: str | None = None,
) -> None:
    """Make the runs that are missing, and write them to a folder.

    Each worker is a process with its share of the cores, so that runs neither wait for
    one another nor fight for threads; times are comparable within one call. A run
    that is done is written at once: an interrupt loses only those under way.

    Args:
        configs: What to run.
        folder: Where finished runs are, and new ones go.
        workers: Processes at a time.
        command: What makes these runs, for their files.
        console: Where to report.
        storage: Address of a database, to share the sweep with other machines; a file
            in `folder` by default.

    Raises:
        ConfigError: `workers` is less than 1, data or database cannot be had, or a
            run cannot be made or written. Finished runs are kept.
    """
    if workers < 1:
        raise ConfigError(f"`workers` must be at least 1. Received: workers={workers}")
    every = jobs(configs)
    found = {}
    for job in every:
        for place in folders(folder, job.scheme):
            if record := find_run(place, job.settings):
                found[job.name] = record
                console.print(f"reused: {job} is finished already")
                break
    complete = len(found) == len(every)
    if complete and not storage:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"`runs` cannot be written: {error}") from None
    address = storage or f"sqlite:///{folder / 'sweep.db'}"
    queue = Queue(address, every)
    for name, record in found.items():
        queue.add(name, record)
    if complete:  # other machines know now
        return
    queue.refill()
    context = multiprocessing.get_context("spawn")
    messages = context.Queue()
    threads = max(1, (os.cpu_count() or 1) // workers)
    shared = (every, address, folder, command, threads, messages)
    processes = [context.Process(target=work, args=shared) for _ in range(workers)]
    for process in processes:
        process.start()
    try:
        with _progress(console) as progress:
            _watch(progress, queue, messages, processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
    gather(queue, folder, found)


def gather(queue: Queue, folder: Path, found: Container[str] = ()) -> None:
    """Write the files of runs that other machines made.

    Args:
        queue: Where they are.
        folder: Where their files go.
        found: Names of those that are here already, or among the committed ones.
    """
    for name, record in queue.records():
        if name not in found:
            write_run(folder / name, record)


def work(
    every: Sequence[Job],
    address: str,
    folder: Path,
    command: str,
    threads: int,
    messages,
) -> None:
    """In a process of its own: make runs until there are no more."""
    with without_remarks():
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf.constant(0)  # now it looks at the machine, and tells of it
    programs: dict = {}
    try:
        queue = Queue(address, every)
        while len(queue.finished()) < len(every):
            queue.refill()
            claim = queue.claim()
            if claim is None:
                _live_with_parent()
                time.sleep(PAUSE)
                continue
            trial, job = claim
            with queue.alive(trial):
                # Its worker may have died between the file and the database.
                record = find_run(folder, job.settings)
                record = record or _made(job, programs, folder, command, messages)
                queue.finish(trial, record)
            messages.put((str(job), f"MSE {record.history[-1].mse:.4f}", None))
    except KeyboardInterrupt:
        pass  # the process that started this one tells of it
    except ConfigError as error:
        messages.put((None, str(error), None))
    except Exception as error:
        messages.put((None, f"a run failed: {_root(error)}", None))


def _root(error: BaseException) -> str:
    """What lies behind: Optuna's own words for a full disk say nothing of it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"


def _made(job, programs, folder, command, messages):
    """Train, compiling if need be, and write the run's file."""
    from experiments.tasks import load_task
    from experiments.training import Trainer
    from experiments.warm import WarmTrainer

    messages.put((str(job), "compiling", 0.0))
    trainer = programs.pop(job.program, None)
    if trainer is None:
        task = load_task(job.config.task)
        kind = WarmTrainer if job.scheme.warm_start else Trainer
        trainer = kind(job.config, job.scheme, job.seed, task)
    programs[job.program] = trainer
    while len(programs) > PROGRAMS:
        del programs[next(iter(programs))]

    def progress(evaluation):
        _live_with_parent()
        share = getattr(evaluation, job.config.budget_unit) / job.config.budget
        messages.put((str(job), f"MSE {evaluation.mse:.4f}", min(1.0, share)))

    run = trainer.run(job.config, job.scheme, job.seed, progress)
    try:
        return save_run(folder, job.settings, run, trainer.task.source, command)
    except OSError as error:
        raise ConfigError(
            f"a run file cannot be written: {error.strerror} ({folder}). Finished runs "
            "are kept; the same command goes on"
        ) from None


def _live_with_parent():
    """End this worker if the process that started it has been killed."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit("the sweep was killed")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<44}"),
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:>3.0f}%  {task.fields[state]:<12}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _watch(progress, queue, messages, processes):
    """Show what the workers say, until all runs are made or one has failed."""
    work_of = {str(job): job.work for job in queue.jobs.values()}
    finished = queue.finished()
    todo = sum(job.work for name, job in queue.jobs.items() if name not in finished)
    total = progress.add_task("all runs", total=todo, state="")
    bars, shares = {}, {}
    while True:
        # `any` would not ask them all, and the dead keep their numbers until asked.
        running = sum(process.is_alive() for process in processes)
        while not messages.empty():
            name, state, share = messages.get()
            if name is None:
                raise ConfigError(state)
            if name not in bars:
                bars[name] = progress.add_task(name, total=1.0, state=state)
            done = share is None
            shares[name] = 1.0 if done else share
            progress.update(bars[name], state=state, completed=shares[name])
            if done:
                progress.stop_task(bars[name])
                progress.update(bars.pop(name), visible=False)
                progress.console.print(f"finished: {name}: {state}")
            spent = sum(work_of[name] * share for name, share in shares.items())
            progress.update(total, completed=spent)
        if not running:
            break
        time.sleep(0.2)
    # What other machines took may be under way; workers end when all is done.
    if missing := len(queue.jobs) - len(queue.finished()):
        raise ConfigError(
            f"workers ended before {missing} runs were made: killed, perhaps for lack "
            "of memory. Finished runs are kept; the same command goes on"
        )
