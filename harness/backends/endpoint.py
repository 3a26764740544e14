"""`openai-completions:URL#MODEL` and `openai-chat:URL#MODEL`: which endpoint, and what is known of what it serves.

Nobody can tell which weights an endpoint serves: its identity is its address and what it says of itself.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from assay.harness import fingerprint
from assay.harness.backends import loading
from assay.harness.backends.base import NEVER_CUT, BackendError, ModelOptions, Reference
from assay.harness.backends.checkpoint import TOKENIZER, TOKENIZER_ONLY, files_sha256, locate
from assay.harness.backends.completions import Endpoint, lm_eval_api
from assay.harness.backends.engine import Engine, TextModel, demand_batching
from assay.harness.backends.tokenizer import HFTokenizer
from assay.harness.backends.transport import Gone, Rejected, Transport
from assay.harness.backends.verbatim import Turns, Verbatim

PATHS = {"openai-completions": "/completions", "openai-chat": "/chat/completions"}
LASTING = ("id", "root", "parent", "owned_by", "max_model_len")
"""What of a line of /v1/models stays the same while the same model is served."""


def open_endpoint(reference: Reference, options: ModelOptions) -> Engine:
    """The backend of one model at one endpoint, which is asked what it serves.

    Raises:
        BackendError: a reference without model or with a secret, an endpoint that does not answer, or
            `--deterministic`.
    """
    demand_batching(reference, options)
    reference.demand_no_secret()
    site = _site(reference)
    transport = Transport(
        url=site.url,
        key=os.environ.get("OPENAI_API_KEY", ""),
        concurrency=options.concurrency,
        timeout_s=options.timeout_s,
        retries=options.retries,
    )
    told = _told(transport, site)
    chat = reference.scheme == "openai-chat"
    known = None if chat else _tokenizer(options)
    extra = {k: _json(v) for k, v in reference.arguments.items()}
    longest = int(extra.pop("max_length", None) or told.get("max_model_len") or NEVER_CUT)
    identity = {
        "model": f"{site.url}#{site.model} {fingerprint.canonical(told)}, weights not verified",
        "engine": f"lm-eval {loading.version('lm-eval')}",
    }
    if reference.arguments:
        identity["arguments"] = fingerprint.canonical(dict(reference.arguments))

    def opened() -> TextModel:
        folder, tokenizer = (str(known.folder), known.open()) if known else (None, None)
        api = lm_eval_api(site.url, site.model, folder, longest, chat=chat)
        return Endpoint(reference.text, api, transport, extra, tokenizer)

    verbatim = Turns() if chat else Verbatim(known.sha, known.open) if known else Verbatim()
    label = site.model.rstrip("/").rpartition("/")[2]
    return Engine(reference.text, label, identity, verbatim, options.strip_reasoning, opened)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tokenizer:
    folder: Path
    sha: str

    def open(self) -> HFTokenizer:
        return HFTokenizer(self.folder, self.sha)


def _tokenizer(options: ModelOptions) -> _Tokenizer | None:
    if not options.tokenizer:
        return None
    folder = locate(options.tokenizer, TOKENIZER_ONLY, offline=options.offline)[0]
    return _Tokenizer(folder=folder, sha=files_sha256(folder, TOKENIZER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A model at an address: of its answers, and of the list of what is served."""

    url: str
    models_url: str
    model: str


def _site(reference: Reference) -> Site:
    address, _, model = reference.target.rpartition("#")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or not model:
        raise BackendError(f"--model {reference.text}: write {reference.scheme}:http://HOST:PORT/v1#MODEL")
    if parts.username or parts.password:
        raise BackendError("--model: a password in the URL would be recorded with the run: set $OPENAI_API_KEY instead")
    end = PATHS[reference.scheme]
    base = (parts.path or "/v1").rstrip("/").removesuffix(end)
    return Site(
        url=parts._replace(path=base + end).geturl(),
        models_url=parts._replace(path=f"{base}/models").geturl(),
        model=model,
    )


def _told(transport: Transport, site: Site) -> dict[str, Any]:
    """What lasts of the endpoint's own line on this model; nothing where it has no such list, or not this model."""
    try:
        found = transport.get(site.models_url)
    except Rejected as error:
        if error.status in (401, 403):
            raise
        return {}
    except Gone as error:
        if error.status is None:
            raise
        return {}
    lines = found.get("data") if isinstance(found, dict) else None
    mine = [m for m in lines or () if isinstance(m, dict) and m.get("id") == site.model]
    return {k: v for m in mine[:1] for k, v in m.items() if k in LASTING}


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
