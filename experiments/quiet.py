"""TensorFlow's remarks about the machine, kept off the screen."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

#: Lines that tell of nothing that is wrong: information, and what comes with it.
REMARK = re.compile(
    rb"I\d{4} \d\d:\d\d:"  # of absl: severity, date, time
    rb"|WARNING: All log messages before absl::InitializeLog\(\) is called"
    rb"|To enable the following instructions: "
)


@contextmanager
def without_remarks() -> Iterator[None]:
    """Hold back what is written to stderr meanwhile, then pass on all but remarks.

    `TF_CPP_MIN_LOG_LEVEL` does not reach what TensorFlow says of oneDNN, GPUs and the
    processor while it is imported, and its C++ writes to the descriptor itself. What
    comes later, and every warning or error, is seen.
    """
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not REMARK.match(line):
                    os.write(2, line)
