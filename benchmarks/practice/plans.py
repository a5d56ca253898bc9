"""What the plan says of each task, and what it takes.

    python -m benchmarks.practice.plans [--task ecg ...]

Where it says plain training, these seconds are all that a warm start costs.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import msann_keras as ms
from benchmarks.practice.tasks import TASKS


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.practice.plans",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--task", nargs="+", choices=TASKS, default=[*TASKS])
    for name in parser.parse_args().task:
        task = TASKS[name]
        if (reason := task.missing()) is not None:
            print(f"{name}: skipped, {reason}")
            continue
        data, model = task.data(1), task.network(None)
        given = {"topology": task.topology(), "batch_size": task.batch_size}
        began = time.perf_counter()
        plan = ms.plan(model, data.x, data.y, **given)
        print(f"{name}: {time.perf_counter() - began:.2f} s; {plan.reason}", flush=True)


if __name__ == "__main__":
    main()
