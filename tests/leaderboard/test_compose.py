"""What compose.yaml promises, read from the file; and that Docker's own parser takes it, where there is one."""

import os
import shutil
import subprocess

import pytest
import yaml

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]


@pytest.mark.parametrize("name", ["site", "reindex"])
def test_ours_can_write_nothing_and_gain_nothing(services, name):
    ours = services[name]
    assert ours["read_only"] is True
    assert ours["cap_drop"] == ["ALL"]
    assert ours["security_opt"] == ["no-new-privileges:true"]
    assert [v.rpartition(":")[2] for v in ours["volumes"]] == ["ro"]
    assert not {"privileged", "user", "network_mode", "pid"} & set(ours)


def test_the_sites_own_sessions_are_read_only(services):
    assert "default_transaction_read_only%3Don" in services["site"]["environment"]["ASSAY_INDEX"]
    assert "read_only" not in services["reindex"]["environment"]["ASSAY_INDEX"]


def test_only_the_site_listens_and_only_to_this_machine(services):
    ports = {name: s["ports"] for name, s in services.items() if "ports" in s}
    assert list(ports) == ["site"]
    assert ports["site"][0].startswith("127.0.0.1:")


def test_no_password_is_written_down(services):
    text = (ROOT / "compose.yaml").read_text()
    assert text.count("${ASSAY_DB_PASSWORD:?") == 3
    assert "restart" in services["db"]


def test_dockers_own_parser_takes_it():
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not here")
    env = {**os.environ, "ASSAY_DB_PASSWORD": "x"}
    done = subprocess.run([docker, "compose", "config", "-q"], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
