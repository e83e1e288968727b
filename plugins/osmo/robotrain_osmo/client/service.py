"""Calls of the OSMO service, with retries: JSON answers, pools, credentials, stored files."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from robotrain.errors import Stage

from robotrain_osmo.client import command, failures
from robotrain_osmo.client.command import COMMAND_SECONDS, OsmoCommandResult
from robotrain_osmo.client.failures import CommandFailed, CommandFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ATTEMPTS = {"osmo-render-time": 2, "osmo-busy": 4}
"""How often a call is made whose cause to fail passes by itself, by the code of its refusal."""


def query_json(cli: str, *words: str, seconds: float = COMMAND_SECONDS, stage: Stage = Stage.SUBMIT) -> Any:
    """The JSON that the command answered. Raises Refused."""
    answer = _call_successfully(cli, words, seconds, stage)
    try:
        return answer.parse_json()
    except ValueError:
        raise CommandFailed(failures.make_invalid_json_failure(), stage) from None


def query_text(cli: str, *words: str, seconds: float = COMMAND_SECONDS, stage: Stage = Stage.SUBMIT) -> str:
    """What the command printed. Raises Refused."""
    return _call_successfully(cli, words, seconds, stage).stdout


def raise_for_failure(answer: OsmoCommandResult, stage: Stage = Stage.SUBMIT) -> None:
    """Raise Refused when a call did not succeed."""
    refusal = failures.diagnose_failure(answer)
    if refusal is not None:
        raise CommandFailed(refusal, stage)


def call_command(
    cli: str,
    *words: str,
    seconds: float = COMMAND_SECONDS,
    stage: Stage = Stage.SUBMIT,
    inherit_stderr: bool = False,
    pass_fds: Sequence[int] = (),
) -> OsmoCommandResult:
    """The answer, whatever it is; shown, holding: as of `command.run`. Raises Refused when there is no such command."""
    try:
        return command.run_command(cli, *words, seconds=seconds, inherit_stderr=inherit_stderr, pass_fds=pass_fds)
    except command.CommandStartError as error:
        raise CommandFailed(failures.make_start_failure(cli, str(error)), stage) from error


def call_with_retries(
    cli: str, *words: str, seconds: float = COMMAND_SECONDS, stage: Stage = Stage.SUBMIT, pass_fds: Sequence[int] = ()
) -> tuple[OsmoCommandResult, CommandFailure | None]:
    """The answer, and why not; the call is made again, later each time, where the cause passes by itself. Raises
    Refused when there is no such command.
    """
    for attempt in itertools.count():
        answer = call_command(cli, *words, seconds=seconds, stage=stage, pass_fds=pass_fds)
        refusal = failures.diagnose_failure(answer)
        if refusal is None or attempt + 1 >= MAX_ATTEMPTS.get(refusal.code, 1):
            break
        time.sleep(refusal.retry_delay * 2**attempt)
    return answer, refusal


def _call_successfully(cli: str, words: tuple[str, ...], seconds: float, stage: Stage) -> OsmoCommandResult:
    """The answer of a call that succeeded."""
    answer, refusal = call_with_retries(cli, *words, seconds=seconds, stage=stage)
    if refusal is not None:
        raise CommandFailed(refusal, stage)
    return answer


LIST_SECONDS = 300.0
MIN_FILES_PER_SECOND = 200
"""A list of very many files takes as long as its pages do."""
_TOTAL = r"^Total (\d+) objects found\s*\Z"
_STORAGE_PREFIX = r"(?:(?:s3|gs)://[^/]+|(?:azure|tos)://[^/]+/[^/]+|swift://[^/]+/[^/]+/[^/]+)/(.*)"
_NO_TOTAL = CommandFailure(
    code="osmo-storage-silent", title="`osmo data list` did not say how much there is", why="It ended without a sum."
)


def list_stored_files(cli: str, url: str, stage: Stage, seconds: float) -> set[str]:
    """The paths of all objects below `url`; of `url` itself when it is one object: its name. Raises Refused."""
    text = query_text(cli, "data", "list", url, "-r", "--no-pager", seconds=seconds, stage=stage)
    total = re.search(_TOTAL, text, re.MULTILINE)
    if total is None:
        raise CommandFailed(_NO_TOTAL, stage)
    keys = [line for line in text[: total.start()].splitlines() if line.strip()]
    folder = _get_key_prefix(url)
    return {key.removeprefix(folder) if key.startswith(folder) else key.rpartition("/")[2] for key in keys}


def is_storage_empty(cli: str, url: str, seconds: float) -> bool:
    """Whether nothing lies at `url`. Raises Refused."""
    text = query_text(cli, "data", "list", url, "--no-pager", seconds=seconds, stage=Stage.PREFLIGHT)
    total = re.search(_TOTAL, text, re.MULTILINE)
    if total is None:
        raise CommandFailed(_NO_TOTAL, Stage.PREFLIGHT)
    return int(total[1]) == 0


def _get_key_prefix(url: str) -> str:
    """The part of each key that is the URL's."""
    found = re.fullmatch(_STORAGE_PREFIX, url.rstrip("/"))
    return f"{found[1]}/" if found and found[1] else ""


@dataclass(frozen=True, slots=True)
class PoolPlatform:
    """A platform of a pool: the mounts of the machine that a task may ask for, and those it is given anyhow."""

    allowed_mounts: tuple[str, ...] = ()
    default_mounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool. longest: what a run may take at most, as `7d`; empty for OSMO's own limit. capacity, free, quota: GPUs
    of its machines, those that nobody uses, and those left of what is guaranteed; None where that is not told.
    """

    name: str
    status: str = ""
    max_exec_timeout: str = ""
    platforms: Mapping[str, PoolPlatform] = field(default_factory=dict)
    total_gpus: int | None = None
    free_gpus: int | None = None
    quota_gpus: int | None = None


def list_pools(cli: str, seconds: float, stage: Stage = Stage.PREFLIGHT) -> list[Pool]:
    """Those that the service tells of, in its order. Raises Refused."""
    answer = query_json(cli, "pool", "list", "-t", "json", seconds=seconds, stage=stage)
    return [_parse_pool(one) for one in _iterate_pools(answer)]


def _iterate_pools(answer: Any) -> Iterator[Mapping[str, Any]]:
    """The pools of an answer, in whichever form: by node sets, or by name."""
    answer = answer if isinstance(answer, dict) else {}
    sets = answer.get("node_sets")
    for one in sets if isinstance(sets, list) else []:
        yield from (pool for pool in one.get("pools") or () if isinstance(pool, dict))
    named = answer.get("pools")
    if isinstance(named, dict):
        yield from ({"name": name, **pool} for name, pool in named.items() if isinstance(pool, dict))


def _parse_pool(data: Mapping[str, Any]) -> Pool:
    platforms = data.get("platforms")
    usage = data.get("resource_usage")
    usage = usage if isinstance(usage, dict) else {}
    return Pool(
        name=str(data.get("name") or ""),
        status=str(data.get("status") or ""),
        max_exec_timeout=str(data.get("max_exec_timeout") or ""),
        platforms={str(name): _parse_pool_platform(one) for name, one in (platforms or {}).items()},
        total_gpus=_parse_count(usage.get("total_capacity")),
        free_gpus=_parse_count(usage.get("total_free")),
        quota_gpus=_parse_count(usage.get("quota_free")),
    )


def _parse_pool_platform(data: Any) -> PoolPlatform:
    data = data if isinstance(data, dict) else {}
    allowed, given = (data.get(name) or () for name in ("allowed_mounts", "default_mounts"))
    return PoolPlatform(tuple(map(str, allowed)), tuple(map(str, given)))


def _parse_count(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def list_credentials(cli: str, seconds: float) -> dict[str, str]:
    """The type of each, by name; what they hold, or which keys, OSMO does not tell. Raises Refused."""
    answer = query_json(cli, "credential", "--format-type", "json", "list", seconds=seconds, stage=Stage.PREFLIGHT)
    told = answer.get("credentials") if isinstance(answer, dict) else None
    rows = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    return {str(one.get("cred_name")): str(one.get("cred_type")) for one in rows}
