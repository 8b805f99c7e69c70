"""The JSON Schema of lab.yaml, as editors read it."""

from __future__ import annotations

from typing import Any

from labctl.labs.spec import LabSpec


def lab_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a lab file. A check is written as one key, its kind, with its settings below it."""
    schema = LabSpec.model_json_schema(by_alias=True)
    checks = schema["$defs"]["Criterion"]["properties"]["checks"]
    checks["items"] = {"oneOf": [_one_key(kind, ref) for kind, ref in _kinds(checks["items"]).items()]}
    for definition in schema["$defs"].values():
        definition.get("properties", {}).pop("kind", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "lab.yaml of labctl"}


def _kinds(items: dict[str, Any]) -> dict[str, str]:
    mapping: dict[str, str] = items["discriminator"]["mapping"]
    return mapping


def _one_key(kind: str, ref: str) -> dict[str, Any]:
    return {"type": "object", "properties": {kind: {"$ref": ref}}, "required": [kind], "additionalProperties": False}
