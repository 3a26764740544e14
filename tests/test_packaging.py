"""What is shipped is what is in the tree."""

import os
import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.conftest import ROOT

SHIPPED = (".py", ".yaml", ".jsonl", "py.typed", "Dockerfile", "requirements.txt", ".sh", ".toml")
PACKAGES = ("harness", "tasks", "sandbox", "leaderboard")


def tree():
    listed = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    return {f for f in listed.stdout.splitlines() if f.endswith(SHIPPED)}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Source distribution, and the wheel built from it."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT], check=True, capture_output=True
    )
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


def test_wheel_and_sdist_hold_every_file_of_the_tree(built):
    sdist, wheel = built
    with zipfile.ZipFile(wheel) as z:
        in_wheel = {n.removeprefix("assay/") for n in z.namelist() if n.startswith("assay/")}
    with tarfile.open(sdist) as t:
        in_sdist = {n.partition("/")[2] for n in t.getnames()}
    assert in_wheel == tree()
    assert tree() <= in_sdist


def test_an_installed_wheel_lists_its_tasks(built, tmp_path):
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", tmp_path / "site", built[1]]
    subprocess.run(install, check=True)
    code = "import assay.harness.cli as c; print(c.__file__); c.main(['list', 'suites'], standalone_mode=False)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(tmp_path / "site") in done.stdout
    assert "dclm-core" in done.stdout
