"""What Every Eval Ever 0.3.0 demands of a record, as far as `assay export` writes it."""

import hashlib
import json

import pytest

TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
BOUND = {"anyOf": [{"type": "number"}, {"enum": ["Infinity", "-Infinity"]}]}
UNCERTAINTY = {
    "properties": {
        "standard_error": {"required": ["value"], "properties": {"value": {"type": "number"}}},
        "confidence_interval": {
            "required": ["lower", "upper"],
            "properties": {k: {"type": "number"} for k in ("lower", "upper", "confidence_level")},
        },
        "num_samples": {"type": "integer"},
    }
}
RESULT = {
    "required": ["evaluation_name", "source_data", "metric_config", "score_details"],
    "properties": {
        "evaluation_result_id": {"type": "string"},
        "source_data": {
            "required": ["dataset_name", "source_type"],
            "properties": {
                "source_type": {"enum": ["url", "hf_dataset", "other"]},
                "url": {"type": "array", "minItems": 1},
                "additional_details": TEXTS,
            },
        },
        "metric_config": {
            "required": ["lower_is_better", "metric_id"],
            "properties": {
                "lower_is_better": {"type": "boolean"},
                "score_type": {"const": "continuous"},
                "min_score": BOUND,
                "max_score": BOUND,
                "additional_details": TEXTS,
            },
            "dependentRequired": {"score_type": ["min_score", "max_score"]},
        },
        "score_details": {
            "required": ["score"],
            "properties": {"score": {"type": "number"}, "details": TEXTS, "uncertainty": UNCERTAINTY},
        },
        "generation_config": {"properties": {"additional_details": TEXTS}},
    },
}
AGGREGATE = {
    "required": [
        *("schema_version", "evaluation_id", "retrieved_timestamp", "source_metadata", "model_info", "eval_library"),
        "evaluation_results",
    ],
    "additionalProperties": False,
    "properties": {
        "schema_version": {"const": "0.3.0"},
        "evaluation_id": {"type": "string"},
        "evaluation_timestamp": {"type": "string", "pattern": r"[+]00:00$"},
        "retrieved_timestamp": {"type": "string", "pattern": r"^\d+$"},
        "source_metadata": {
            "required": ["source_type", "source_organization_name", "evaluator_relationship"],
            "properties": {
                "source_type": {"enum": ["documentation", "evaluation_run"]},
                "evaluator_relationship": {"enum": ["first_party", "third_party", "collaborative", "other"]},
                "additional_details": TEXTS,
            },
        },
        "eval_library": {"required": ["name", "version"], "properties": {"additional_details": TEXTS}},
        "model_info": {
            "required": ["name", "id", "additional_details"],
            "properties": {
                "additional_details": {
                    **TEXTS,
                    "required": ["deployment_type", "model_availability"],
                    "properties": {
                        "deployment_type": {"enum": ["self_deployed", "externally_managed", "unknown"]},
                        "model_availability": {"enum": ["open_weights", "closed_weights", "unknown"]},
                    },
                }
            },
        },
        "evaluation_results": {"type": "array", "minItems": 1, "items": RESULT},
        "detailed_evaluation_results": {
            "required": ["format", "file_path", "hash_algorithm", "checksum", "total_rows"],
            "properties": {
                "file_path": {"pattern": r"^data/[^/]+/[^/]+/[^/]+/[0-9a-f-]{14}4[0-9a-f-]{21}_samples\.jsonl$"},
                "hash_algorithm": {"const": "sha256"},
            },
        },
    },
}
SAMPLE = {
    "required": [
        *("schema_version", "evaluation_id", "model_id", "evaluation_name", "sample_id", "interaction_type", "input"),
        *("output", "answer_attribution", "evaluation"),
    ],
    "additionalProperties": False,
    "properties": {
        **{k: {"type": "string"} for k in ("evaluation_id", "model_id", "evaluation_name", "evaluation_result_id")},
        "schema_version": {"const": "0.3.0"},
        "sample_id": {"type": "string"},
        "sample_hash": {"type": ["string", "null"]},
        "interaction_type": {"const": "single_turn"},
        "input": {
            "required": ["raw", "reference"],
            "properties": {
                "raw": {"type": "string"},
                "reference": {"type": "array", "items": {"type": "string"}},
                "choices": {"type": "array", "items": {"type": "string"}},
            },
        },
        "output": {"required": ["raw"], "properties": {"raw": {"type": "array", "items": {"type": "string"}}}},
        "answer_attribution": {
            "type": "array",
            "items": {"required": ["turn_idx", "source", "extracted_value", "extraction_method", "is_terminal"]},
        },
        "evaluation": {
            "required": ["score", "is_correct"],
            "properties": {"score": {"type": "number"}, "is_correct": {"type": "boolean"}},
        },
        "performance": {"type": ["object", "null"]},
        "error": {"type": ["string", "null"]},
        "metadata": TEXTS,
    },
}
"""What Every Eval Ever 0.3.0 demands of the fields that are written."""


def read(path):
    """An aggregate and its sample lines, checked for all that their validator holds against each other."""
    jsonschema = pytest.importorskip("jsonschema")
    data = json.loads(path.read_text())
    jsonschema.validate(data, AGGREGATE)
    for result in data["evaluation_results"]:
        low, high = (float(result["metric_config"][k]) for k in ("min_score", "max_score"))
        assert low <= result["score_details"]["score"] <= high
    companion = path.with_name(f"{path.stem}_samples.jsonl")
    said = data.get("detailed_evaluation_results")
    assert companion.exists() == (said is not None)
    rows = [json.loads(line) for line in companion.read_text().splitlines()] if said else []
    if said:
        assert said["checksum"] == hashlib.sha256(companion.read_bytes()).hexdigest()
        assert said["total_rows"] == len(rows)
        assert path.parents[4].joinpath(said["file_path"]) == companion
    ids = {r["evaluation_result_id"] for r in data["evaluation_results"]}
    for row in rows:
        jsonschema.validate(row, SAMPLE)
        assert (row["evaluation_id"], row["model_id"]) == (data["evaluation_id"], data["model_info"]["id"])
        assert row["evaluation_result_id"] in ids
    return data, rows
