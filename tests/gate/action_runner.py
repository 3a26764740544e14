"""A GitHub runner, as far as the actions here use one: contexts, environment files, conditions, and a `gh`."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.conftest import ROOT

GH = '''#!{python}
"""Answers the calls that the scripts make, from the file $GH_STATE; anything else is an error."""
import json, os, re, shutil, subprocess, sys
from pathlib import Path

state = Path(os.environ["GH_STATE"])
known = json.loads(state.read_text())
known["calls"].append(sys.argv[1:])
options, plain, words = {{}}, [], iter(sys.argv[1:])
for word in words:
    if word in ("--jq", "--method", "--field", "--raw-field"):
        options.setdefault(word, []).append(next(words))
    elif word not in ("--paginate", "--silent"):
        plain.append(word)
assert plain[0] == "api" and len(plain) == 2, plain
method, path = options.get("--method", ["GET"])[0], plain[1].partition("?")[0]
fields = dict(f.split("=", 1) for f in options.get("--field", []) + options.get("--raw-field", []))


def body():
    text = fields["body"]
    return Path(text[1:]).read_text() if text.startswith("@") else text


said, base = [], "repos/" + os.environ["GITHUB_REPOSITORY"]
if known["forbidden"]:
    sys.exit("HTTP 403: Resource not accessible by integration")
if method == "GET" and path.startswith(base + "/issues/") and path.endswith("/comments"):
    said = [c for c in known["comments"] if path == base + "/issues/%d/comments" % c["issue"]]
elif method == "GET" and path == base + "/pulls":
    said = [p for p in known["pulls"] if fields == {{"state": "open", "head": p["label"]}}]
elif method == "POST" and re.fullmatch(base + r"/issues/\\d+/comments", path):
    user = {{"type": "Bot", "login": "github-actions[bot]"}}
    made = {{"id": len(known["comments"]) + 1, "issue": int(path.split("/")[-2]), "user": user, "body": body()}}
    known["comments"].append(made)
elif method == "PATCH" and path.startswith(base + "/issues/comments/"):
    next(c for c in known["comments"] if c["id"] == int(path.split("/")[-1]))["body"] = body()
else:
    sys.exit("unknown call: %s %s" % (method, path))
state.write_text(json.dumps(known))
if "--jq" in options:
    query = options["--jq"][0]
    comments = re.search(r'startswith\\("(.*)"\\)\\) \\| \\.id$', query)
    pulls = re.search(r'\\.head\\.sha == "(.*)"\\) \\| \\.number$', query)
    if comments:
        found = [c["id"] for c in said if c["user"]["type"] == "Bot" and c["body"].startswith(comments[1])]
    else:
        found = [p["number"] for p in said if p["head"]["sha"] == pulls[1]]
    if shutil.which("jq"):  # the query itself, where that can be asked
        real = subprocess.run(["jq", "-r", query], input=json.dumps(said), capture_output=True, text=True, check=True)
        assert real.stdout.split() == [str(f) for f in found], real.stdout
    print("\\n".join(map(str, found)))
'''


@dataclass
class Outcome:
    """What a run of an action left."""

    failed: int = 0
    outputs: dict = field(default_factory=dict)
    log: str = ""
    summary: str = ""
    uses: list = field(default_factory=list)


class Runner:
    """One job, in one folder."""

    def __init__(self, folder, workspace, event=None, repository="us/evals"):
        self.folder, self.workspace = folder, workspace
        self.github = {"token": "secret", "repository": repository, "event": event or {}}
        self.temp = folder / "temp with space"
        self.temp.mkdir()
        (folder / "bin").mkdir()
        gh = folder / "bin" / "gh"
        gh.write_text(GH.format(python=sys.executable))
        gh.chmod(0o755)
        self.state = folder / "gh.json"
        self.know(comments=[], pulls=[], calls=[], forbidden=False)

    def know(self, **changes):
        """Change what the fake GitHub has."""
        known = json.loads(self.state.read_text()) if self.state.exists() else {}
        self.state.write_text(json.dumps(known | changes))

    @property
    def gh(self):
        return json.loads(self.state.read_text())

    def run(self, action="action.yml", **inputs):
        """Run every step of a composite action."""
        spec = yaml.safe_load((ROOT / action).read_text())
        given = {name: i.get("default", "") for name, i in spec.get("inputs", {}).items()}
        context = {
            "inputs": given | {k.replace("_", "-"): v for k, v in inputs.items()},
            "github": self.github,
            "runner": {"temp": str(self.temp)},
            "steps": {},
        }
        out = Outcome()
        for i, step in enumerate(spec["runs"]["steps"]):
            condition = step.get("if", "success()")
            if not all(self._holds(part, context, out) for part in condition.split(" && ")):
                continue
            if "uses" in step:
                out.uses.append((step["uses"], {k: self._filled(str(v), context) for k, v in step["with"].items()}))
                continue
            code, outputs = self._step(step, context, (ROOT / action).parent, out, i)
            context["steps"][step.get("id", f"_{i}")] = {"outputs": outputs}
            out.failed = out.failed or code
        out.outputs = {k: self._filled(v["value"], context) for k, v in spec.get("outputs", {}).items()}
        return out

    def _step(self, step, context, action, out, i):
        files = {n: self.folder / f"{n}-{i}" for n in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV")}
        for file in files.values():
            file.write_text("")
        env = {k: self._filled(str(v), context) for k, v in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=self.workspace,
            env={
                "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(self.folder),
                "ASSAY_CACHE": str(self.folder / "cache"),
                "GH_STATE": str(self.state),
                "GITHUB_ACTION_PATH": str(action),
                "GITHUB_REPOSITORY": self.github["repository"],
                "RUNNER_TEMP": str(self.temp),
                **{k: str(v) for k, v in files.items()},
                **env,
            },
            capture_output=True,
            text=True,
        )
        out.log += done.stdout + done.stderr
        out.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        return done.returncode, dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())

    def _holds(self, part, context, out):
        if part in ("always()", "success()"):
            return part == "always()" or not out.failed
        left, equal, right = re.fullmatch(r"(\S+) (==|!=) '(.*)'", part).groups()
        return (self._found(left, context) == right) == (equal == "==")

    def _filled(self, text, context):
        return re.sub(r"\$\{\{ (\S+) \}\}", lambda m: self._found(m[1], context), text)

    def _found(self, path, context):
        value = context
        for key in path.split("."):
            value = value.get(key, "") if isinstance(value, dict) else ""
        return str(value)


def scripts():
    """Every file of bash that an action runs."""
    return sorted(Path(ROOT / "action").glob("*.sh"))
