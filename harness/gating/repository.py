"""What the user's git knows: who works here, where a branch left its target, and how a file was then."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from assay.tasks.types import UserError

BRANCHES = ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME")
"""Variables in which GitHub and GitLab name the branch that a request is to be merged into."""
TARGETS = ("origin/HEAD", "origin/main", "main")
"""Where neither does, the first of these that exists."""
WHOLE = (
    "fetch the whole history: `fetch-depth: 0` of actions/checkout, GIT_DEPTH: 0 on GitLab, or git fetch --unshallow"
)


class HistoryMissing(UserError):
    """Git can't say what was asked; the message says why and what to do."""


def merge_base(folder: Path) -> tuple[str, str]:
    """The commit where HEAD left its target, and the target's name.

    Raises:
        HistoryMissing: no repository, no target, or no common commit, as in a shallow clone.
    """
    if _git(folder, "rev-parse", "--git-dir").returncode:
        raise HistoryMissing(
            f"{folder}: not in a git repository that git reads here ({_said(_git(folder, 'rev-parse', '--git-dir'))}); "
            "a merge base needs one: use pinned/NAME instead, or check the repository out with git"
        )
    target = _target(folder)
    found = _git(folder, "merge-base", "HEAD", target)
    commit = found.stdout.decode().strip()
    if found.returncode == 0 and commit:
        return commit, target
    if _git(folder, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true":
        raise HistoryMissing(f"{folder}: a shallow clone that lacks the merge base of HEAD and {target}; {WHOLE}")
    why = _said(found) or "they share no commit"
    raise HistoryMissing(f"{folder}: HEAD and {target} have no merge base: {why}; use pinned/NAME instead")


def content(folder: Path, commit: str, path: str) -> bytes | None:
    """A file below a folder as it was at a commit; None where it was not there."""
    inside = _existing(folder)
    place = (folder.resolve().relative_to(inside) / path).as_posix()
    there = _git(folder, "ls-tree", "--name-only", commit, "--", place)
    if there.returncode == 0 and not there.stdout.strip():
        return None
    found = _git(folder, "show", f"{commit}:./{place}") if there.returncode == 0 else there
    if found.returncode:
        raise HistoryMissing(f"{folder}: git can't read {place} at {commit[:12]}: {_said(found)}; {WHOLE}")
    return found.stdout


def author() -> str:
    """Who works here: git's user.name, else the login; "" where neither is known."""
    try:
        found = _git(Path(), "config", "user.name").stdout.decode(errors="replace").strip()
    except HistoryMissing:
        found = ""
    return found or os.environ.get("USER", "")


def _target(folder: Path) -> str:
    """The branch that HEAD is to be merged into. One that CI names must be there: another's would pass unseen."""
    named = [f"origin/{os.environ[v]}" for v in BRANCHES if os.environ.get(v)]
    for target in named[:1] or TARGETS:
        if _git(folder, "rev-parse", "--verify", "--quiet", f"{target}^{{commit}}").returncode == 0:
            return target
    if named:
        raise HistoryMissing(f"{folder}: the target branch {named[0]} was not fetched; {WHOLE}")
    raise HistoryMissing(f"{folder}: none of {', '.join(TARGETS)} exists, so HEAD has no target; git fetch origin main")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it: a branch may have removed its baselines."""
    here = folder.resolve()
    return next(p for p in (here, *here.parents) if p.is_dir())


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - no shell; our own words, and refs that begin with ours
            ["git", *arguments],  # noqa: S607 - the user's git is the one that knows this checkout
            cwd=_existing(folder),
            capture_output=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HistoryMissing(f"git does not run here ({error}); install it, or use pinned/NAME instead") from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[0] if lines else ""
