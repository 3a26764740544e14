"""gate.yaml, read strictly: a fault is named by file, line, key and the nearest valid name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt, MinLen
from pydantic import StringConstraints, TypeAdapter, ValidationError

from assay.harness.gating.types import Config, Mode, Rule, Tier, Waiver
from assay.tasks.loading import nearest, plain_yaml, strict_adapter
from assay.tasks.types import UserError

FILE = Path("gate.yaml")
Share = Annotated[float, Ge(0), Lt(1)]
Words = Annotated[str, MinLen(1)]
Setting = Literal[
    "fingerprint", "rows", "chat_template", "tokenizer", "engine", "dtype", "device", "arguments", "assay_version"
]
Anchor = Annotated[
    str,
    StringConstraints(pattern=r"^(pinned/[A-Za-z0-9._-]+|previous|best-so-far|mean-of-last-[1-9][0-9]?|merge-base)$"),
]
Choice = Literal["fail", "warn"]


class GateConfigError(UserError):
    """A gate.yaml is missing or wrong; the message names file, line, key and remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    tier: Tier | None = None
    mode: Mode | None = None
    min_effect: Share | None = None
    max_drop: Annotated[float, Gt(0), Lt(1)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Baseline:
    use: Anchor = "pinned/main"
    also: tuple[Anchor, ...] = ()
    on_missing: Literal["fail", "create", "warn"] = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparable:
    must_match: tuple[Setting, ...] = ("fingerprint", "rows", "chat_template")
    warn_if_differs: tuple[Setting, ...] = ("engine", "dtype", "device", "tokenizer", "assay_version")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    alpha: Annotated[float, Gt(0), Lt(0.5)] = 0.01
    correction: Literal["holm"] = "holm"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noise:
    window: Annotated[int, Ge(5)] = 10
    k: Annotated[float, Ge(0), Lt(100)] = 2.0
    min_points: Annotated[int, Ge(5)] = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Health:
    max_infra_error: Share = 0.005
    max_unpaired: Share = 0.01
    max_truncated_rise: Share = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiver:
    task: Words
    until: date
    reason: Words
    by: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdicts:
    inconclusive: Choice = "warn"
    not_comparable: Choice = "fail"
    missing: Choice = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gate:
    version: Literal[1]
    suite: Words
    baseline: _Baseline = _Baseline()
    comparable: _Comparable = _Comparable()
    family: _Family = _Family()
    noise: _Noise = _Noise()
    health: _Health = _Health()
    defaults: _Rule = _Rule()
    composites: Mapping[str, _Rule] = field(default_factory=dict)
    tasks: Mapping[str, _Rule] = field(default_factory=dict)
    waivers: tuple[_Waiver, ...] = ()
    verdicts: _Verdicts = _Verdicts()


PARTS = (_Rule, _Baseline, _Comparable, _Family, _Noise, _Health, _Waiver, _Verdicts, _Gate)


def load(path: Path) -> Config:
    """Read a gate.yaml.

    Raises:
        GateConfigError: no such file, an unknown or missing key, a wrong type or value; names file, line and key.
    """
    if not path.is_file():
        raise GateConfigError(f"no {path}: make one with: assay gate init --suite SUITE --gate {path}")
    try:
        document, lines = plain_yaml(path)
        if not isinstance(document, dict):
            raise GateConfigError(f"{path}:1: a gate is a mapping of keys to values")
        raw = _adapter().validate_json(json.dumps(document, default=str))
    except ValidationError as error:
        fault = error.errors()[0]
        at = tuple(fault["loc"])
        line = next((lines[at[:n]] for n in range(len(at), -1, -1) if at[:n] in lines), 1)
        raise GateConfigError(f"{path}:{line}: {_explained(fault, at)}") from None
    except UserError as error:
        raise GateConfigError(str(error)) from None
    name = path.stem if path.stem != "gate" else path.resolve().parent.name
    return _config(raw, path, name, lines)


@cache
def _adapter() -> TypeAdapter[_Gate]:
    return strict_adapter(_Gate, PARTS)


def _explained(fault: Any, at: tuple[Any, ...]) -> str:
    """What is wrong with a key, and what would be right."""
    key = ".".join(map(str, at))
    if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        known = sorted({name for part in PARTS for name in part.__dataclass_fields__})
        return f"unknown key '{key}'{nearest(str(at[-1]), known)}"
    if fault["type"] in ("missing", "missing_argument"):
        return f"missing key '{key}'"
    if fault["type"] == "string_pattern_mismatch":
        return (
            f"key '{key}': {fault['input']!r} is none of pinned/NAME, previous, mean-of-last-K, best-so-far, merge-base"
        )
    return f"key '{key}': {fault['msg']} (got {fault['input']!r})"


def _config(raw: _Gate, path: Path, name: str, lines: Mapping[tuple[Any, ...], int]) -> Config:
    base = raw.defaults

    def rule(at: tuple[str, ...], own: _Rule) -> Rule:
        inherited = base.mode or ("prove" if base.max_drop is not None else "detect")
        mode = own.mode or ("prove" if own.max_drop is not None else inherited)
        drop = own.max_drop if own.max_drop is not None else base.max_drop if mode == "prove" else None
        where = f"{path}:{lines.get(at, 1)}: '{'.'.join(at)}'"
        if mode == "prove" and drop is None:
            raise GateConfigError(f"{where}: mode prove needs max_drop, the drop to be ruled out")
        if mode == "detect" and own.max_drop is not None:
            raise GateConfigError(f"{where}: max_drop is of mode prove; of detect it is min_effect")
        said = (own.min_effect, own.max_drop, base.min_effect, drop)
        least = next((effect for effect in said if effect is not None), None)
        return Rule(
            tier=own.tier or base.tier or "track",
            mode=mode,
            min_effect=Rule().min_effect if least is None else least,
            max_drop=drop,
        )

    return Config(
        name=name,
        suite=raw.suite,
        use=raw.baseline.use,
        also=raw.baseline.also,
        on_missing=raw.baseline.on_missing,
        must_match=raw.comparable.must_match,
        warn_if_differs=raw.comparable.warn_if_differs,
        alpha=raw.family.alpha,
        window=raw.noise.window,
        k=raw.noise.k,
        min_points=raw.noise.min_points,
        max_infra_error=raw.health.max_infra_error,
        max_unpaired=raw.health.max_unpaired,
        max_truncated_rise=raw.health.max_truncated_rise,
        defaults=rule(("defaults",), _Rule()),
        tasks={glob: rule(("tasks", glob), own) for glob, own in raw.tasks.items()},
        composites={of: rule(("composites", of), own) for of, own in raw.composites.items()},
        waivers=tuple(Waiver(task=w.task, until=w.until, reason=w.reason, by=w.by) for w in raw.waivers),
        verdicts={
            "inconclusive": raw.verdicts.inconclusive,
            "not_comparable": raw.verdicts.not_comparable,
            "missing": raw.verdicts.missing,
        },
    )
