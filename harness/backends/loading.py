"""Where the parts of an `hf:` model lie, what they hash to, and how they are put together in memory."""

from __future__ import annotations

import importlib.metadata
import threading
import warnings
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.harness.backends.base import BackendError, ModelOptions, Reference
from assay.harness.backends.checkpoint import (
    ADAPTER,
    MODEL,
    PEFT,
    TOKENIZER,
    TOKENIZER_ONLY,
    WEIGHTS,
    Kind,
    files_sha256,
    locate,
)

SHORTHANDS = {"load_in_8bit": "bitsandbytes_8bit", "load_in_4bit": "bitsandbytes_4bit"}
"""lm-eval's arguments, and transformers' names of what they mean."""
ARGUMENTS = ("peft", "tokenizer", "gguf", "quantization", *SHORTHANDS)
_MAKING = threading.Lock()
"""While transformers and peft make a model, they replace functions that all threads share: one model at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a model is made of.

    Attributes:
        ref: what the user typed.
        label: to show; the adapter's name stands after the checkpoint's.
        folder: of the checkpoint.
        tokenizer: folder of the tokenizer, the checkpoint's own or one that was given.
        adapter: folder of a PEFT adapter that is put on top, or None.
        gguf: file in `folder` that holds weights, config and tokenizer, or "".
        quantization: transformers' name of how weights are quantised while they are loaded, or "".
    """

    ref: str
    label: str
    folder: Path
    tokenizer: Path
    adapter: Path | None
    gguf: str
    quantization: str


def find(reference: Reference, options: ModelOptions) -> Parts:
    """The parts a reference names, fetched from the Hub where they are not folders.

    Raises:
        BackendError: a part is not there, or an argument is not known.
    """
    reference.demand(ARGUMENTS)
    given = reference.arguments
    gguf = given.get("gguf", "")
    kind = Kind(said="hf:", noun="GGUF model", needs=gguf, patterns=(gguf,)) if gguf else MODEL
    folder, label = locate(reference.target, kind, offline=options.offline)
    other = given.get("tokenizer") or options.tokenizer
    adapter, over = locate(given["peft"], PEFT, offline=options.offline) if "peft" in given else (None, "")
    return Parts(
        ref=reference.text,
        label=f"{label}+{over}" if over else label,
        folder=folder,
        tokenizer=locate(other, TOKENIZER_ONLY, offline=options.offline)[0] if other else folder,
        adapter=adapter,
        gguf=gguf,
        quantization=_quantization(reference),
    )


def _quantization(reference: Reference) -> str:
    given = reference.arguments
    named = {given["quantization"]} if "quantization" in given else set()
    for key in SHORTHANDS.keys() & given.keys():
        if given[key].lower() not in ("true", "false"):
            raise BackendError(f"--model {reference.text}: {key} is true or false")
        named |= {SHORTHANDS[key]} if given[key].lower() == "true" else set()
    if len(named) > 1:
        raise BackendError(f"--model {reference.text}: quantised two ways at once: {', '.join(sorted(named))}")
    return "".join(named)


def identity(parts: Parts, options: ModelOptions) -> dict[str, str]:
    """What decides the model's answers, by content: names and places of the files don't count."""
    own = (parts.gguf,) if parts.gguf else TOKENIZER
    packages = ["lm-eval", "transformers", "torch", *(["peft"] if parts.adapter else [])]
    found = {
        "model": files_sha256(parts.folder, (parts.gguf,) if parts.gguf else WEIGHTS),
        "tokenizer": files_sha256(parts.tokenizer, own if parts.tokenizer == parts.folder else TOKENIZER),
        "dtype": options.dtype,
        "engine": " ".join(f"{p} {version(p)}" for p in packages),
    }
    if parts.adapter:
        found["adapter"] = files_sha256(parts.adapter, ADAPTER)
    if parts.quantization:
        found["quantization"] = parts.quantization
    if options.strip_reasoning:
        found["reasoning"] = f"stripped up to {options.strip_reasoning!r}"
    if options.deterministic:
        found["scoring"] = "deterministic"
    return found


def load(parts: Parts, options: ModelOptions, begun: Future[Any] | None = None) -> Any:
    """The model on its device, whole, adapter on top.

    Args:
        parts: of the model.
        options: its dtype and device.
        begun: what `reading.begin` returned for it, if it was called: this waits for it.

    Raises:
        BackendError: a file is damaged, a weight is missing, or a package that loading needs.
    """
    model = begun.result() if begun else None
    return place(parts, read(parts, options) if model is None else model, options)


def read(parts: Parts, options: ModelOptions) -> Any:
    """The model in host memory, whole, without its adapter; one that is quantised is on its device.

    Raises:
        BackendError: a file is damaged, or a weight is missing.
    """
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    how: dict[str, Any] = {"dtype": options.dtype if options.dtype == "auto" else getattr(torch, options.dtype)}
    if parts.gguf:
        how["gguf_file"] = parts.gguf
    if parts.quantization:
        how |= {"quantization_config": _config(parts), "device_map": {"": _device(options)}}
    try:
        with _MAKING:
            model, info = transformers.AutoModelForCausalLM.from_pretrained(
                str(parts.folder), local_files_only=True, output_loading_info=True, **how
            )
    except Exception as error:  # what transformers, safetensors and torch raise on damage has no common base
        raise _unloadable(parts, error) from error
    _demand_all_weights(parts.ref, info)
    return model


def place(parts: Parts, model: Any, options: ModelOptions) -> Any:
    """The model moved to its device, then its adapter on top.

    Raises:
        BackendError: the device does not hold it, or the adapter does not fit.
    """
    try:
        model = model if parts.quantization else model.to(_device(options))
    except Exception as error:  # out of memory, or a device that torch does not know
        raise _unloadable(parts, error) from error
    return (_with_adapter(parts, model) if parts.adapter else model).eval()


def _device(options: ModelOptions) -> str:
    import torch

    return options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def _unloadable(parts: Parts, error: Exception) -> BackendError:
    return BackendError(f"{parts.ref}: cannot load the model: {type(error).__name__}: {error}")


def _config(parts: Parts) -> Any:
    """A quantisation by transformers' name, with its defaults."""
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING, AutoQuantizationConfig

    if parts.quantization not in AUTO_QUANTIZATION_CONFIG_MAPPING:
        known = ", ".join(AUTO_QUANTIZATION_CONFIG_MAPPING)
        raise BackendError(f"{parts.ref}: unknown quantization '{parts.quantization}'; transformers knows: {known}")
    flags = {f"load_in_{bits}": True for bits in ("8bit", "4bit") if parts.quantization == f"bitsandbytes_{bits}"}
    return AutoQuantizationConfig.from_dict({"quant_method": parts.quantization, **flags})


def _with_adapter(parts: Parts, model: Any) -> Any:
    """PEFT only warns of weights that an adapter lacks, and leaves them as they were made."""
    from peft import PeftModel

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            with _MAKING:
                model = PeftModel.from_pretrained(model, str(parts.adapter))
        except Exception as error:  # peft, safetensors and torch again
            raise BackendError(
                f"{parts.ref}: cannot put the adapter {parts.adapter} on this model: {type(error).__name__}: {error}"
            ) from error
    missing = [str(w.message) for w in said if "missing adapter keys" in str(w.message)]
    if missing:
        raise BackendError(f"{parts.ref}: the adapter {parts.adapter} is not whole: {missing[0][:300]}")
    return model


def _demand_all_weights(ref: str, info: dict[str, Any]) -> None:
    """A model with weights made up on loading would get a believable, meaningless score."""
    missing = sorted(map(str, info.get("missing_keys") or ()))
    shapes = sorted(map(str, info.get("mismatched_keys") or ()))
    if missing or shapes:
        what = f"{len(missing)} weights are missing" if missing else f"{len(shapes)} weights have other shapes"
        raise BackendError(
            f"{ref}: the checkpoint is not whole: {what} than its config.json says ({(missing or shapes)[0]}, ...); "
            "save it again, or mend config.json"
        )


def version(package: str) -> str:
    """A package's version.

    Raises:
        BackendError: it is not installed; says how to get it.
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        extra = "'assay-evals[hf]'" if package in ("lm-eval", "transformers", "torch") else package
        raise BackendError(f"this model needs {package}, which is not installed: pip install {extra}") from None
