"""The JSON Schema (2020-12) of pipeline.yaml, for editors: that of job.yaml, once for each step."""

from collections.abc import Iterable, Mapping
from typing import Any

from robotrain.config.job_file import SCHEMA_KEY
from robotrain.config.job_schema import DIALECT, INPUT_KEYS, make_job_schema
from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload
from robotrain.pipelines.pipeline_file import AFTER_KEY, FROM_KEY, JOB_KEY
from robotrain.pipelines.steps import MAX_STEPS, NAME_PATTERN, make_step_kind


def make_pipeline_schema(
    workloads: Iterable[Workload], platforms: Iterable[Platform], kinds: Mapping[str, SourceKind], default: str
) -> dict[str, Any]:
    """Return the schema of a pipeline file for these workloads and platforms."""
    all_workloads = list(workloads)
    step_roles = {name: True for workload in all_workloads for name, role in workload.roles.items() if role.takes}
    job = make_job_schema(all_workloads, platforms, {**kinds, FROM_KEY: make_step_kind(step_roles, FROM_KEY)}, default)
    name = {"type": "string", "pattern": f"^({NAME_PATTERN})$"}
    own = {
        JOB_KEY: {"description": "a job file, relative to this file; other keys change its values", "type": "string"},
        AFTER_KEY: {
            "description": "steps that must succeed before, beside those that it takes an input from",
            "anyOf": [{"type": "null"}, name, {"type": "array", "items": name}],
        },
    }
    inputs = {key: {"type": ["object", "null"]} for key in INPUT_KEYS}
    step = {
        "type": ["object", "null"],
        "properties": {**job["properties"], **inputs, **own},
        "additionalProperties": False,
        "not": job["not"],
        "if": {"required": [JOB_KEY]},
        "else": {"allOf": job["allOf"]},
    }
    return {
        "$schema": DIALECT,
        "title": "robotrain pipeline",
        "description": "Jobs that depend on each other. The platform is chosen at submission.",
        "type": "object",
        "properties": {
            SCHEMA_KEY: {"description": "the schema, for editors"},
            "name": {"description": "the beginning of its runs' names", "type": "string"},
            "at_most": {
                "description": "how many steps may run at the same time",
                "type": ["integer", "null"],
                "minimum": 1,
            },
            "steps": {
                "description": "the steps by name; one begins when those that it needs have succeeded",
                "type": "object",
                "propertyNames": {"pattern": f"^({NAME_PATTERN})$"},
                "minProperties": 1,
                "maxProperties": MAX_STEPS,
                "additionalProperties": step,
            },
        },
        "required": ["steps"],
        "additionalProperties": False,
    }
