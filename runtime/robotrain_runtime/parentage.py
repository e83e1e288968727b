"""Which run made a fetched policy, where only the place that it was fetched from knows: kept in the cache beside it.

The folder itself may be somebody's artifacts, and is left as it is.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

RUN, JOB, STEP, DIGEST = "policy_run", "policy_job_digest", "policy_step", "policy_checkpoint_sha256"
"""What is told, by the names that models and tracking runs have for it."""


def keep(cache: Path, folder: Path, told: Mapping[str, str]) -> None:
    """Write down what is known of the policy in `folder`; what was written before is gone. Raises OSError."""
    file = _file(cache, folder)
    if not told:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(dict(told), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def of(cache: Path, folder: Path) -> dict[str, str]:
    """What was written down; nothing when nobody did."""
    try:
        found = json.loads(_file(cache, folder).read_text(encoding="utf-8"))
        return {name: str(found[name]) for name in (RUN, JOB, STEP, DIGEST) if name in found}
    except (OSError, ValueError, TypeError):
        return {}


def _file(cache: Path, folder: Path) -> Path:
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:32]
    return cache / "sources" / "parentage" / f"{name}.json"
