"""gate.json: a report as JSON and back, and the schema that it keeps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from assay.harness.gating.types import SCHEMA_VERSION, Report
from assay.tasks.types import UserError

_REPORT = TypeAdapter(Report)


class GateRecordError(UserError):
    """A file is no gate.json that this version reads; the message says why and what to do."""


class _Written(GenerateJsonSchema):
    """A schema of what is written: every field, no defaults, and no titles that repeat names."""

    def field_is_required(self, *_: Any, **__: Any) -> bool:
        return True

    def default_schema(self, schema: Any) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, *_: Any, **__: Any) -> bool:
        return False


def to_json(report: Report) -> dict[str, Any]:
    """The report as JSON values: a number that is not finite becomes null, half a surrogate pair its escape.

    Raises:
        ValueError: it is no report that can be read back, such as one whose α is NaN: a bug of ours.
    """
    data: dict[str, Any] = _plain(report)
    _REPORT.validate_json(json.dumps(data), strict=True)
    return data


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {_plain(k): _plain(v) for k, v in value.items()}
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, Sequence):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if math.isfinite(value) else None
    raise TypeError(f"{type(value).__name__} in a report")


def from_json(data: Mapping[str, Any]) -> Report:
    """The report that was written; fields that a later version added under the same schema are passed over.

    Raises:
        GateRecordError: another schema version, or not what the schema demands; names the first fault.
    """
    version = data.get("schema_version") if isinstance(data, Mapping) else None
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise GateRecordError(
            f"a gate.json of schema {version!r}, and this assay reads {SCHEMA_VERSION}: use the version that wrote it, "
            "or run `assay gate check` again"
        )
    try:
        return _REPORT.validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise GateRecordError(
            f"not a gate.json: {place or 'the file'}: {first['msg']}; run `assay gate check` again"
        ) from error


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of gate.json; published as docs/schemas/gate-1.json."""
    found = _REPORT.json_schema(mode="serialization", schema_generator=_Written)
    found["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:assay:gate:{SCHEMA_VERSION}",
        "title": f"gate.json, version {SCHEMA_VERSION}: what a regression gate of assay said of a checkpoint",
    }
    return head | {k: v for k, v in found.items() if k != "title"}
