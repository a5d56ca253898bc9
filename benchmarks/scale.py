"""What training on coarsened data needs: compiling, averaging, time by size, memory.

    python -m benchmarks.scale [--only averaging]

Every row, but for those of averaging, is a process of its own that trains the network
n, n/4, n/8, n/4, n on one object for a few V-cycles (k = 1, Adam, batch 128). Compiling
counts tracing and what the first call takes longer; "again" is another process that
finds the program in TensorFlow's persistent cache on disk. Averaging brings the data of
the clock's tasks to the device. Memory is the largest resident size of the process, the
libraries and the arrays given to `fit` included.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

#: Samples, size and depth of each row.
COMPILING = [
    *((2000, 1024, depth) for depth in range(7)),
    *((2000, 4096, depth) for depth in (0, 2, 4)),
]
TIMES = [(2000, n, 4) for n in (512, 1024, 2048, 4096)]
MEMORY = [(4000, n, 6) for n in (4096, 8192, 16_384)]
CYCLES = 7
#: Tasks of benchmarks/clock.py, and the L that was best there for 1/10.
AVERAGING = [
    ("one-object-1024", 4),
    ("one-object-4096", 6),
    ("two-objects-1024", 3),
    ("two-objects-4096", 3),
    ("mnist", 3),
]


def train(samples, n, depth):
    """What a few cycles took, as plain values."""
    import msann_keras as ms
    from benchmarks.clock.bench import BATCH, network
    from experiments.synthetic import one_object

    before = peak_memory()
    x, y, *_ = one_object(n, samples=samples, validation=1, seed=2019)
    model = ms.multilevel(network(n), depth)
    model.compile("adam", "mse")
    history = model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=CYCLES,
        steps_per_epoch=1,
        callbacks=[ms.CycleSchedule(coarsen_data=True)],
        verbose=0,
    )
    cycles = np.diff(history.history["seconds"], prepend=0.0)
    typical = float(np.median(cycles[1:]))
    return {
        "compiling": model.compile_seconds + cycles[0] - typical,
        "cycle": typical,
        "memory": peak_memory(),
        "libraries": before,
        "data": x.nbytes + y.nbytes,
        "parameters": model.hierarchy.parameters[0],
    }


def averaging(name, depth):
    """Median seconds to bring a task's data to the device and average them to L."""
    import msann_keras as ms
    from benchmarks.clock.bench import network, task
    from msann_keras.engines.coarsened.data import MEMORY, Arrays
    from msann_keras.engines.coarsened.network import coarsening

    data = task(name)
    plain = network(data.x.shape[1])
    parts = coarsening(ms.multilevel(plain, depth, data.topology))
    seconds = []
    for _ in range(8):
        began = time.perf_counter()
        arrays = Arrays(data.x, data.y, None, parts, MEMORY, np.random.default_rng(0))
        next(arrays.chunks())
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[1:]))  # the first one compiles


def peak_memory():
    """Bytes that this process has had resident at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_a_process(*arguments, cache=None):
    """`train`, in a fresh process; `cache` is a folder for compiled programs."""
    command = [sys.executable, "-m", "benchmarks.scale", "--train"]
    flag = {"TF_XLA_FLAGS": f"--tf_xla_persistent_cache_directory={cache}"}
    run = subprocess.run(
        [*command, *map(str, arguments)],
        env=os.environ | (flag if cache else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout.splitlines()[-1])


def print_compiling():
    """A row for each size and depth: a first process, and a second one."""
    print("| n | L | seconds to compile | again |\n|---|---|---|---|")
    for arguments in COMPILING:
        with tempfile.TemporaryDirectory() as cache:
            runs = [in_a_process(*arguments, cache=cache) for _ in range(2)]
        _, n, depth = arguments
        first, again = (run["compiling"] for run in runs)
        print(f"| {n} | {depth} | {first:.1f} | {again:.1f} |", flush=True)


def print_averaging():
    """A row for each task: its data at level 0 alone, and at all levels."""
    print("| task | L | seconds for level 0 | for all levels |\n|---|---|---|---|")
    for name, depth in AVERAGING:
        fine, every = averaging(name, 0), averaging(name, depth)
        print(f"| {name} | {depth} | {fine:.3f} | {every:.3f} |", flush=True)


def print_times():
    """A row for each size: a cycle, and how much longer than the size before."""
    print("| n | L | ms a cycle | times that of n / 2 |\n|---|---|---|---|")
    before = None
    for samples, n, depth in TIMES:
        cycle = in_a_process(samples, n, depth)["cycle"]
        ratio = f"{cycle / before:.2f}" if before else ""
        print(f"| {n} | {depth} | {1e3 * cycle:.0f} | {ratio} |", flush=True)
        before = cycle


def print_memory():
    """A row for each size."""
    print("| n | samples | parameters | MB at most | of it libraries | bound | s |")
    print("|---|---|---|---|---|---|---|")
    for samples, n, depth in MEMORY:
        result = in_a_process(samples, n, depth)
        bound = result["data"] + 8 * 4 * result["parameters"] + 500e6
        print(
            f"| {n} | {samples} | {result['parameters']:,} "
            f"| {result['memory'] / 1e6:,.0f} | {result['libraries'] / 1e6:,.0f} "
            f"| {bound / 1e6:,.0f} | {result['cycle']:.2f} |",
            flush=True,
        )


PARTS = {
    "compiling": print_compiling,
    "averaging": print_averaging,
    "times": print_times,
    "memory": print_memory,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, help="this part alone")
    parser.add_argument("--train", nargs=3, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        print(json.dumps(train(*options.train)))
        return
    for part in [options.only] if options.only else PARTS:
        PARTS[part]()
        print()


if __name__ == "__main__":
    main()
