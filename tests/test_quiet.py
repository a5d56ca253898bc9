"""TensorFlow's remarks: held back, and nothing else."""

import subprocess
import sys

import pytest
from config_files import ROOT

REMARKS = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1796022152.814317    6498 port.cc:153] oneDNN custom operations are on.
I0000 00:00:1796022152.884743    6498 cpu_feature_guard.cc:227] This TensorFlow binary
To enable the following instructions: AVX2, in other operations, rebuild TensorFlow
"""
OTHERS = """\
W0000 00:00:1796022152.884743    6498 cpu_allocator.cc:83] Allocation exceeds 10 %
E0000 00:00:1796022152.884743    6498 cuda_dnn.cc:8579] Unable to register
Traceback (most recent call last):
I am no remark
"""


def seen_of(program):
    """What a program leaves on the descriptor of stderr."""
    done = subprocess.run(
        [sys.executable, "-c", f"import os, sys\n{program}"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    return done.stderr


def test_remarks_are_held_back_and_all_else_is_seen():
    program = f"""
from experiments.quiet import without_remarks
os.write(2, b"before\\n")
with without_remarks():
    os.write(2, {REMARKS + OTHERS!r}.encode())
os.write(2, {REMARKS!r}.encode())
"""
    assert seen_of(program) == "before\n" + OTHERS + REMARKS


def test_what_fails_is_told():
    program = """
from experiments.quiet import without_remarks
with without_remarks():
    os.write(2, b"I0000 00:00:17.8 1 a.cc:1] a remark\\nhalf a line")
    raise ImportError("no such library")
"""
    seen = seen_of(program)
    assert "ImportError: no such library" in seen and "half a line" in seen
    assert "a remark" not in seen


@pytest.mark.thorough
def test_tensorflow_says_nothing_of_the_machine():
    """And it has things to say, or this would be no test."""
    touch = "import tensorflow as tf; tf.constant(0)"
    assert "I0000 " in seen_of(touch)
    quiet = "from experiments.quiet import without_remarks"
    assert seen_of(f"{quiet}\nwith without_remarks(): {touch}") == ""
