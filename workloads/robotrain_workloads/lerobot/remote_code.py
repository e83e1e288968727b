"""Python code of the Hub that a policy runs: it needs the user's trust, at one commit. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from robotrain_runtime.contract.problem import Problem, make_data_problem

from robotrain_workloads.lerobot import backbones
from robotrain_workloads.lerobot.backbones import COMMIT, HUB_KIND, REPOSITORY, NeededRepository

if TYPE_CHECKING:
    from robotrain_runtime.contract.document import JobSource

TRUST_FLAG = "--trust-remote-code"
TRUST_FORM = "OWNER/NAME@COMMIT"


def parse_trusted(text: object) -> dict[str, str]:
    """Return the commits that are trusted, by repository. Raise ValueError with a sentence.

    :param text: the value of `--trust-remote-code`; None for none.
    """
    trusted: dict[str, str] = {}
    for part in str(text or "").split(","):
        name, _, commit = part.strip().partition("@")
        if not name and not commit and text is None:
            continue
        if not REPOSITORY.fullmatch(name):
            raise ValueError(f"{part.strip() or 'an empty text'!r} is not a repository of the Hub at a commit")
        if not COMMIT.fullmatch(commit):
            problem = f"{commit!r} may change" if commit else f"{name} alone may change"
            raise ValueError(f"{problem}: only the 40 digits of a commit say which code is trusted")
        if trusted.setdefault(name, commit) != commit:
            raise ValueError(f"{name} is given at two commits")
    return trusted


def find_trust_problems(
    type_name: str,
    needed_repositories: Sequence[NeededRepository],
    trusted: Mapping[str, str],
    sources: Iterable[JobSource],
    *,
    are_pinned: bool,
) -> Iterator[Problem]:
    """Yield why the code that would run is not the code that is trusted.

    :param needed_repositories: the repositories that the policy reads.
    :param trusted: commits by repository.
    :param sources: those of the repositories.
    :param are_pinned: whether the sources have their pins.
    """
    sources_by_name = {backbones.get_repository_name(source): source for source in sources}
    reasons_by_name = {repository.name: repository.reason for repository in needed_repositories if repository.runs_code}
    for name, reason in reasons_by_name.items():
        source = sources_by_name.get(name)
        commit = trusted.get(name, "")
        snapshot = _get_known_snapshot(source, are_pinned) if source else ""
        if not commit and source and source.kind != HUB_KIND and not snapshot:
            continue  # its pin will say what to trust
        if not commit:
            runs_text = f"{name} may run any Python code: {reason}, and it"
            if not reason:
                runs_text = f"{type_name} runs Python code of {name}, which"
            yield make_data_problem(f"{runs_text} is not trusted", f"{TRUST_FLAG} {name}@{snapshot or 'COMMIT'}")
        elif source and snapshot and snapshot != commit:
            is_hub = source.kind == HUB_KIND and source.role == backbones.BACKBONE_ROLE
            remedy = f"{backbones.BACKBONE_FLAG} {name}@{commit}" if is_hub else f"{TRUST_FLAG} {name}@{snapshot}"
            yield make_data_problem(f"{name}@{commit} is trusted, but the job brings its code at {snapshot}", remedy)
    for name in trusted:
        if name not in reasons_by_name:
            runs_text = (
                f"runs code of {' and '.join(reasons_by_name)}" if reasons_by_name else "runs no code of the Hub"
            )
            yield make_data_problem(
                f"{TRUST_FLAG} names {name}, but {type_name} {runs_text}", f"remove {name} from {TRUST_FLAG}"
            )


def _get_known_snapshot(source: JobSource, are_pinned: bool) -> str:
    """Return the commit of a backbone, or what stands for it; empty if only its pin will tell."""
    is_known = are_pinned or source.pin or COMMIT.fullmatch(backbones.get_revision(source))
    return backbones.get_snapshot_name(source) if is_known else ""
