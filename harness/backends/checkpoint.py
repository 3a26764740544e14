"""A Hugging Face checkpoint before any weight is loaded: where it is, what it hashes to, how far it was trained."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.harness import fingerprint
from assay.harness.backends.base import BackendError
from assay.harness.records import Checkpoint

WEIGHTS = ("*.safetensors", "pytorch_model*.bin", "*.index.json", "config.json")
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.model",
    "vocab.*",
    "merges.txt",
    "chat_template*",
)
ADAPTER = ("adapter_config.json", "adapter_model*")
STATE_FILES = ("trainer_state.json", "training_state.json")
STEP_KEYS = ("step", "global_step")
TOKEN_KEYS = ("tokens_seen", "num_input_tokens_seen", "tokens")
LENGTH_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
TOKENS_AFTER = re.compile(r"tokens?[-_]?(\d+)([KMBT]?)(?![a-z\d])", re.IGNORECASE)
TOKENS_BEFORE = re.compile(r"(\d+)([KMBT])[-_]?tokens?", re.IGNORECASE)
TOKEN_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a folder is taken for.

    Attributes:
        said: how its reference begins, for messages.
        noun: what it is called.
        needs: the file without which it is none; "" where loading tells.
        patterns: files to fetch from the Hub.
    """

    said: str
    noun: str
    needs: str
    patterns: tuple[str, ...]


MODEL = Kind(said="hf:", noun="checkpoint", needs="config.json", patterns=(*WEIGHTS, *TOKENIZER, "*.json"))
TOKENIZER_ONLY = Kind(said="tokenizer ", noun="tokenizer", needs="", patterns=(*TOKENIZER, "config.json"))
PEFT = Kind(said="adapter ", noun="PEFT adapter", needs="adapter_config.json", patterns=ADAPTER)


def locate(rest: str, kind: Kind = MODEL, *, offline: bool) -> tuple[Path, str]:
    """A local folder as it is, or a Hub snapshot `OWNER/NAME[@REVISION]` fetched into the Hub's cache.

    Returns:
        the folder, and the label to show.

    Raises:
        BackendError: neither exists, or the Hub can't be reached.
    """
    if not rest:
        raise BackendError(f"{kind.said.strip()} needs a folder or a Hub name after the colon")
    folder = Path(rest).expanduser()
    if folder.is_dir():
        if kind.needs and not (folder / kind.needs).is_file():
            raise BackendError(f"{kind.said}{rest}: no {kind.needs}: not a {kind.noun} folder")
        return folder, folder.resolve().name
    repo, _, revision = rest.partition("@")
    if not HUB_NAME.fullmatch(repo) or folder.is_absolute():
        raise BackendError(f"{kind.said}{rest}: no such folder, and not a Hub name (OWNER/NAME or OWNER/NAME@REVISION)")
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            repo,
            revision=revision or None,
            local_files_only=offline,
            allow_patterns=list(kind.patterns),
        )
    except Exception as error:  # the Hub client's own errors, and those of three HTTP layers below it
        how = "it is not in the local cache, and --offline was given" if offline else str(error)
        raise BackendError(f"{kind.said}{rest}: cannot get this {kind.noun}: {how}") from error
    return Path(found), rest.replace("/", "--")


def files_sha256(folder: Path, patterns: Iterable[str]) -> str:
    """One hash over the files that match: their names and contents. Renaming the folder does not change it."""
    paths = sorted({p for pattern in patterns for p in folder.glob(pattern) if p.is_file()})
    return fingerprint.digest([[p.name, fingerprint.file_sha256(p)] for p in paths])


def describe(folder: Path, label: str) -> Checkpoint:
    """Label, and training step and tokens from a state file beside the weights, else from the name."""
    state: dict[str, Any] = {}
    for name in STATE_FILES:
        if (folder / name).is_file():
            state = read_json(folder / name)
            break
    step, tokens = _first(state, STEP_KEYS), _first(state, TOKEN_KEYS)
    in_name = re.search(r"(?:step|checkpoint|iter)[-_]?0*(\d+)", label, re.IGNORECASE)
    if step is None and in_name:
        step = int(in_name[1])
    said = TOKENS_AFTER.search(label) or TOKENS_BEFORE.search(label)
    if tokens is None and said:
        tokens = int(said[1]) * TOKEN_UNITS[said[2].upper()]
    return Checkpoint(label=label, step=step, tokens=tokens, parameters=_first(state, ("parameters",)))


def max_positions(config: dict[str, Any]) -> int | None:
    """Longest sequence the model was built for, when its config says."""
    return _first({**config, **config.get("text_config", {})}, LENGTH_KEYS)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a checkpoint.

    Raises:
        BackendError: the file is torn or not JSON.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackendError(f"{path}: not readable as JSON ({error}): the checkpoint is damaged") from error
    return data if isinstance(data, dict) else {}


def _first(data: dict[str, Any], keys: Iterable[str]) -> int | None:
    found = [data[k] for k in keys if type(data.get(k)) in (int, float)]
    return next((int(v) for v in found if math.isfinite(v)), None)
