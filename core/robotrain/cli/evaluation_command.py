"""The command line that evaluates a run's outputs, which `status` and unknown commands suggest."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from robotrain.errors import Rejected

if TYPE_CHECKING:
    from robotrain.model.run import RunRecord


def make_evaluation_command(record: RunRecord) -> str:
    """Return the line that evaluates a run's outputs on its own data; empty if its workload declares none."""
    if not record.outputs.evaluation:
        return ""
    from robotrain.plugins import manager
    from robotrain.redaction import redact_if_secret
    from robotrain.store import plans

    options: dict[str, list[str]] = {}
    plugins = manager.get_plugins()
    try:
        for source in plans.read_stored_sources(record.run):
            if f"{{{source.role}}}" in record.outputs.evaluation:
                flag = plugins.source_kind(source.kind).roles[source.role].flag
                options.setdefault(source.role, []).append(f"{flag} {shlex.quote(redact_if_secret(source.uri))}")
        filled = {role: " ".join(found) for role, found in options.items()}
        words = record.outputs.evaluation.format_map({"run": record.run, **filled})
    except (Rejected, LookupError, ValueError):  # no plugin of its data is there, or its workload declares another role
        return ""
    return f"robotrain submit {words} --platform {record.platform}"
