"""The only importer of docker-py: reach the engine, start cells, attach to them, kill and sweep them."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.sandbox.types import SandboxUnavailable

START = "start Docker (on Debian as root: make setup-docker), or name an engine in DOCKER_HOST"
CELL = "assay.cell"
"""Label of every cell; its value is the owner, `host/pid/start time`, so that leftovers can be told."""
TMPFS = "rw,nosuid,nodev,exec,mode=1777,size={}m,nr_inodes=50k"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOptions:
    """What one container may use.

    Attributes:
        memory_mib: of everything in it, tmpfs included; there is no swap.
        cpus: a program gets one core's worth; the supervisor needs a little beside it.
        disk_mib: of each of /work and /tmp, which are memory too. shm_mib: of /dev/shm.
        runtime: of the engine, `runsc` for gVisor; "" is its default.
    """

    memory_mib: int
    cpus: float = 1.5
    pids: int = 256
    disk_mib: int = 256
    shm_mib: int = 64
    runtime: str = ""


def _package() -> Any:
    """docker-py, imported when it is first needed: tasks that run no code do without."""
    try:
        import docker
    except ImportError as error:
        raise SandboxUnavailable(f"code tasks need a package: pip install 'assay-evals[code]' ({error})") from error
    return docker


def connect(timeout_s: float = 60) -> Any:
    """A client of the engine that DOCKER_HOST, or the current Docker context, names.

    Raises:
        SandboxUnavailable: none answers.
    """
    docker = _package()
    host, client = os.environ.get("DOCKER_HOST") or _context_host(docker), None
    try:
        client = docker.DockerClient(base_url=host, timeout=timeout_s) if host else docker.from_env(timeout=timeout_s)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        if client is not None:
            client.close()
        where = host or "the default socket"
        raise SandboxUnavailable(f"no Docker engine answers at {where}: {error}; {START}") from error
    return client


def _context_host(docker: Any) -> str:
    try:
        context = docker.context.ContextAPI.get_current_context()
    except Exception:  # a damaged ~/.docker raises whatever its JSON gives
        return ""
    return str((context.endpoints.get("docker") or {}).get("Host") or "") if context else ""


def start(client: Any, image: str, options: CellOptions, environment: Mapping[str, str], boot: str) -> tuple[str, Any]:
    """Start a cell that runs `boot`; its id, and a socket to its standard input and output.

    Raises:
        SandboxUnavailable: no such image, no engine, or the engine refuses.
    """
    docker = _package()
    tmpfs = TMPFS.format(options.disk_mib)
    try:
        host = client.api.create_host_config(
            network_mode="none",
            read_only=True,
            tmpfs={"/work": tmpfs, "/tmp": tmpfs, "/dev/mqueue": "ro,size=4k,mode=555"},  # noqa: S108 - in the container
            mem_limit=f"{options.memory_mib}m",
            memswap_limit=f"{options.memory_mib}m",
            pids_limit=options.pids,
            nano_cpus=int(options.cpus * 1e9),
            cap_drop=["ALL"],
            cap_add=["SETUID", "SETGID", "KILL"],
            security_opt=["no-new-privileges"],
            ipc_mode="private",
            shm_size=f"{options.shm_mib}m",
            init=True,
            auto_remove=True,
            log_config=docker.types.LogConfig(type="none"),
            ulimits=[
                docker.types.Ulimit(name="core", soft=0, hard=0),
                docker.types.Ulimit(name="nofile", soft=512, hard=512),
            ],
            runtime=options.runtime or None,
        )
        made = client.api.create_container(
            image,
            command=["python3", "-I", "-B", "-c", boot],
            entrypoint=[],
            user="0:0",
            working_dir="/",
            hostname="cell",
            environment=dict(environment),
            stdin_open=True,
            labels={CELL: owner()},
            host_config=host,
        )
        attached = client.api.attach_socket(made["Id"], {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        client.api.start(made["Id"])
    except docker.errors.ImageNotFound as error:
        raise SandboxUnavailable(f"the image {image} is gone: assay sandbox build") from error
    except (docker.errors.DockerException, OSError) as error:
        raise SandboxUnavailable(f"the Docker engine can't start a cell of {image}: {error}; {START}") from error
    return made["Id"], attached


def remove(client: Any, container: str) -> None:
    """Kill a cell and forget it; quiet when it has gone already."""
    try:
        client.api.remove_container(container, force=True)
    except (_package().errors.DockerException, OSError):
        return


def owner() -> str:
    """This process, in a form that another can tell alive from dead."""
    return f"{socket.gethostname()}/{os.getpid()}/{_started(os.getpid())}"


def _started(pid: int) -> str:
    """Clock ticks from boot to a process's start, "" when there is none (or no /proc)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def cells(client: Any) -> list[tuple[str, str]]:
    """Every cell of this engine: its id and its owner."""
    docker = _package()
    try:
        found = client.api.containers(all=True, filters={"label": CELL})
    except (docker.errors.DockerException, OSError) as error:
        raise SandboxUnavailable(f"the Docker engine does not list its containers: {error}; {START}") from error
    return [(c["Id"], c["Labels"].get(CELL, "")) for c in found]


def sweep(client: Any) -> int:
    """Remove the cells that dead runs of this host have left; how many there were."""
    mine = [c for c, who in cells(client) if _dead(who)]
    for container in mine:
        remove(client, container)
    return len(mine)


def _dead(who: str) -> bool:
    host, pid, started = (*who.split("/"), "", "")[:3]
    return host == socket.gethostname() and pid.isdecimal() and _started(int(pid)) != started
