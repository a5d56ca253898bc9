"""Compiled programs are on disk for the next process."""

import os
import subprocess
import sys

import keras
import pytest

import msann_keras as ms

BACKEND = keras.backend.backend()
PROGRAM = """
import sys
import keras, numpy as np
import msann_keras as ms
ms.enable_compile_cache(sys.argv[1])
model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)])
model.compile("adam", "mse", jit_compile=True)
model.fit(np.ones((8, 64)), np.ones((8, 64)), verbose=0)
"""


@pytest.mark.thorough
@pytest.mark.skipif(BACKEND == "torch", reason="torch keeps programs by itself")
def test_what_is_compiled_is_kept(tmp_path):
    subprocess.run([sys.executable, "-c", PROGRAM, tmp_path], check=True)
    kept = [path for path in (tmp_path / BACKEND).rglob("*") if path.is_file()]
    assert kept
    assert all(path.stat().st_size for path in kept)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="it is TensorFlow's variable")
def test_other_flags_of_tensorflow_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=1")
    ms.enable_compile_cache(tmp_path / "one")
    ms.enable_compile_cache(tmp_path / "two")
    first, *others = os.environ["TF_XLA_FLAGS"].split()
    assert first == "--tf_xla_auto_jit=1"
    folder = tmp_path / "two" / "tensorflow"
    assert others == [f"--tf_xla_persistent_cache_directory={folder}"]
