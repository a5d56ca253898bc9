"""Compares what is in dist/ with the checkout: every file that belongs, and no other.

python release/contents.py dist
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGES = ("msann", "msann_keras")
BESIDE = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "README.md"}
BUILDING = {"pyproject.toml", "setup.cfg"}


def in_git():
    """Files of the packages that git knows."""
    listed = subprocess.run(
        ["git", "ls-files", "--", *PACKAGES], capture_output=True, text=True, check=True
    )
    return set(listed.stdout.split())


def in_wheel(file):
    """All but what describes the wheel itself."""
    names = zipfile.ZipFile(file).namelist()
    return {name for name in names if ".dist-info/" not in name}


def in_sdist(file):
    """Without the folder that all is in, and all but what setuptools writes."""
    with tarfile.open(file) as archive:
        members = [member.name for member in archive if member.isfile()]
    names = {name.partition("/")[2] for name in members}
    return {name for name in names if "egg-info/" not in name} - {"PKG-INFO"}


def compare(file, found, expected):
    """Ends the program with the difference, if there is one."""
    if found != expected:
        sys.exit(
            f"{file}: missing are {sorted(expected - found)}, "
            f"not expected are {sorted(found - expected)}."
        )
    print(f"{file}: {len(found)} files, as expected")


def main(folder):
    """Compare the one wheel and the one source distribution of a folder."""
    (wheel,) = Path(folder).glob("*.whl")
    (sdist,) = Path(folder).glob("*.tar.gz")
    packages = in_git()
    assert {f"{package}/py.typed" for package in PACKAGES} <= packages
    compare(wheel, in_wheel(wheel), packages)
    compare(sdist, in_sdist(sdist), packages | BESIDE | BUILDING)


if __name__ == "__main__":
    main(sys.argv[1])
