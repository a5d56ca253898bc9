"""When, with what and on what a run was made."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


def provenance(command: str) -> dict[str, Any]:
    """What a run file says of its origin, as plain values.

    Args:
        command: That makes the run.
    """
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "revision": REVISION,
        "python": platform.python_version(),
        "versions": {
            name: version(name)
            for name in ("msann-keras", "keras", "tensorflow", "numpy")
        },
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _revision() -> str:
    """The git commit of the code, with a mark if files differ from it."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


#: Asked when the code is loaded: by a run's end another may be checked out.
REVISION = _revision()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()
