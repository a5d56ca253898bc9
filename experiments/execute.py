"""Making the runs of a config: in parallel, with progress, reusing finished ones."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from experiments.config import Config, ConfigError, Scheme
from experiments.mnist import DataUnavailableError, load_mnist
from experiments.runs import find_run, folders, save_run, settings
from experiments.training import Trainer


class Job(NamedTuple):
    """One run to make."""

    config: Config
    scheme: Scheme
    seed: int

    @property
    def settings(self) -> dict:
        """All that determines the result."""
        return settings(self.config, self.scheme, self.seed)

    @property
    def program(self) -> tuple:
        """What jobs must share to run in one compiled program."""
        return (
            self.config.topology if self.scheme.depth else "",
            self.scheme.depth,
            self.scheme.optimizer,
            str(self.config.data),
            self.config.image_size,
            self.config.hidden,
            self.config.batch_size,
        )

    def __str__(self):
        space = f"{self.config.topology}, " if self.scheme.depth else ""
        return f"{self.scheme.label} ({space}seed {self.seed})"


def jobs(configs: Sequence[Config]) -> list[Job]:
    """Every run that the configs ask for; what two of them share comes once."""
    every = {
        str(job.settings): job
        for config in configs
        for scheme in config.schemes
        for seed in config.seeds
        for job in [Job(config, scheme, seed)]
    }
    return list(every.values())


def execute(
    configs: Sequence[Config],
    folder: Path,
    workers: int,
    command: str,
    console: Console,
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
    """
    missing = []
    for job in jobs(configs):
        if any(find_run(x, job.settings) for x in folders(folder, job.scheme)):
            console.print(f"reused: {job} is finished already")
        else:
            missing.append(job)
    if not missing:
        return
    missing.sort(key=lambda job: job.program)
    programs = [list(group) for _, group in groupby(missing, lambda job: job.program)]
    programs.sort(key=_expected_batches, reverse=True)  # the longest begin first
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // workers)
    with (
        _progress(console) as progress,
        context.Manager() as manager,
        ProcessPoolExecutor(
            workers, context, initializer=_limit_threads, initargs=(threads,)
        ) as pool,
    ):
        messages = manager.Queue()
        futures = [
            pool.submit(_run_program, program, folder, command, messages)
            for program in programs
        ]
        try:
            _report(progress, messages, futures)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _expected_batches(program: Sequence[Job]) -> float:
    return sum(
        job.config.budget * job.scheme.gamma**job.scheme.depth for job in program
    )


def _limit_threads(threads: int) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def _run_program(program: list[Job], folder: Path, command: str, messages) -> None:
    """In a worker: compile once, then make and save each run."""
    config = program[0].config
    try:
        digits = load_mnist(
            config.data.source,
            folder=config.data.folder,
            size=config.image_size,
            validation=config.data.validation,
            seed=config.data.seed,
        )
    except (DataUnavailableError, OSError, ImportError, ValueError) as error:
        raise ConfigError(f"{config.title}: data: {error}") from None
    trainer = None
    for job in program:
        messages.put((str(job), "compiling", 0.0))
        if trainer is None:
            trainer = Trainer(job.config, job.scheme, digits)

        def progress(evaluation, job=job):
            text = f"MSE {evaluation.mse:.4f}"
            messages.put((str(job), text, evaluation.cost / job.config.budget))

        run = trainer.run(job.config, job.scheme, job.seed, progress)
        save_run(folder, job.settings, run, digits.source, command)
        messages.put((str(job), f"MSE {run.history[-1].mse:.4f}", None))


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<44}"),
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:>3.0f}%  {task.fields[state]:<12}"),
        TimeElapsedColumn(),
        console=console,
    )


def _report(progress: Progress, messages, futures) -> None:
    """Show the workers' messages until all are done, or one has failed."""
    bars = {}
    running = set(futures)
    while running or not messages.empty():
        while not messages.empty():
            name, state, share = messages.get()
            if name not in bars:
                bars[name] = progress.add_task(name, total=1.0, state=state)
            done = share is None
            progress.update(bars[name], state=state, completed=1.0 if done else share)
            if done:
                progress.stop_task(bars[name])
            if done and not progress.console.is_terminal:
                progress.console.print(f"finished: {name}: {state}")
        finished, running = wait(running, timeout=0.2)
        for future in finished:
            future.result()  # raises what the worker raised
