"""What a run records of the commit of its code: the tags of that source. A leaf: `status` reads it."""

from collections.abc import Mapping

from robotrain_runtime.contract.document import JobSource

CODE_ROLE = "code"
COMMIT, DIRTY = "commit", "dirty"
"""Tags: the commit, and whether the files that were sent differ from it, `true` or `false`."""


def make_tags(commit: str, is_dirty: bool | None) -> tuple[str, ...]:
    """Return the tags of a source. `is_dirty`: None if that is not known."""
    return (f"{COMMIT}={commit}", *([] if is_dirty is None else [f"{DIRTY}={str(is_dirty).lower()}"]))


def parse_tags(source: JobSource) -> Mapping[str, str]:
    """Return the tags of a source of code; none for another source."""
    return source.tag_values if source.role == CODE_ROLE else {}


def is_dirty(source: JobSource) -> bool | None:
    """Return whether code that was sent differs from its commit; None if that is not known."""
    return {"true": True, "false": False}.get(parse_tags(source).get(DIRTY, ""))


def format_commit(source: JobSource) -> str:
    """Return the commit of a source and whether its files differ, for people; empty if that is not known."""
    commit = parse_tags(source).get(COMMIT, "")
    return f"commit {commit[:12]}{' with uncommitted changes' if is_dirty(source) else ''}" if commit else ""
