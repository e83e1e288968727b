"""Queries of the OSMO service through the command, with retries: pools, credentials, stored files."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from robotrain.cluster.answers import as_int, as_mapping, as_mappings, as_text, as_texts
from robotrain.errors import Stage
from robotrain.external_command import CommandStartError, ProcessResult, run_command
from robotrain.network_deadline import suggest_more_time
from robotrain_runtime.contract.deadline import limit_seconds

from robotrain_osmo.client import failures
from robotrain_osmo.client.command_stream import CommandStream
from robotrain_osmo.client.failures import CommandFailed, CommandFailure

REQUEST_SECONDS = 65.0
"""A little longer than the command itself waits for an answer: then it says whether it was connected."""


def call_command(
    cli: str,
    *words: str,
    seconds: float = 0.0,
    stage: Stage = Stage.SUBMIT,
    report: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> tuple[ProcessResult, CommandFailure | None]:
    """Run the command like `run_command`, repeating it with growing delays after a transient failure.

    Return the last result and its failure, if any. Raise CommandFailed if the command cannot be started.

    :param seconds: the time limit of each; REQUEST_SECONDS without one.
    :param report: called with a line before each repetition.
    """
    seconds = seconds or REQUEST_SECONDS
    for attempt in itertools.count():
        limit = limit_seconds(seconds)
        try:
            result = run_command(cli, *words, seconds=seconds, **options)
        except CommandStartError as error:
            raise CommandFailed(failures.make_start_failure(cli, str(error)), stage) from error
        failure = failures.diagnose_failure(result, words)
        if failure and result.timed_out and limit < seconds:
            failure = replace(failure, suggestions=(*failure.suggestions, suggest_more_time(limit)))
        if failure is None or attempt + 1 >= failure.attempts:
            break
        report(f"{failure.title}; trying again")
        time.sleep(failure.retry_delay * 2**attempt)
    return result, failure


def query_text(cli: str, *words: str, stage: Stage = Stage.SUBMIT, **options: Any) -> str:
    """Run the command and return its output. Raise CommandFailed if it fails. `options`: as for `call_command`."""
    return _call_successfully(cli, words, stage, options).stdout


def query_json(cli: str, *words: str, stage: Stage = Stage.SUBMIT, **options: Any) -> Any:
    """Run the command and return its JSON answer. Raise CommandFailed if it fails."""
    result = _call_successfully(cli, words, stage, options)
    try:
        return result.parse_json()
    except ValueError:
        raise CommandFailed(failures.INVALID_JSON, stage) from None


def _call_successfully(cli: str, words: tuple[str, ...], stage: Stage, options: Mapping[str, Any]) -> ProcessResult:
    result, failure = call_command(cli, *words, stage=stage, **options)
    if failure is not None:
        raise CommandFailed(failure, stage)
    return result


def start_stream(cli: str, *words: str) -> CommandStream:
    """Start the command and return its output as a context manager. Raise CommandFailed if that fails."""
    try:
        return CommandStream(cli, words)
    except CommandStartError as error:
        raise CommandFailed(failures.make_start_failure(cli, str(error))) from error


LIST_SECONDS = 300.0
MIN_FILES_PER_SECOND = 200
"""A list is requested page by page, so its time grows with the number of files."""
_TOTAL = r"^Total (\d+) objects found\s*\Z"
_STORAGE_PREFIX = r"(?:(?:s3|gs)://[^/]+|(?:azure|tos)://[^/]+/[^/]+|swift://[^/]+/[^/]+/[^/]+)/(.*)"
_NO_TOTAL = CommandFailure(
    code="osmo-storage-silent", title="`osmo data list` printed no total", why="The list may be incomplete."
)


def list_stored_files(cli: str, url: str, stage: Stage, seconds: float = 0.0) -> set[str]:
    """Return the paths of all objects below `url`, or the name of `url` if it is one object. Raise CommandFailed."""
    listing, total = _list_storage(cli, url, stage, seconds, "-r")
    keys = [listing_line for listing_line in listing[: total.start()].splitlines() if listing_line.strip()]
    match = re.fullmatch(_STORAGE_PREFIX, url.rstrip("/"))
    folder = f"{match[1]}/" if match and match[1] else ""
    return {key.removeprefix(folder) if key.startswith(folder) else key.rpartition("/")[2] for key in keys}


def is_storage_empty(cli: str, url: str) -> bool:
    """Return whether there is no object at `url`. Raise CommandFailed if it cannot be listed."""
    _, total = _list_storage(cli, url, Stage.PREFLIGHT)
    return int(total[1]) == 0


def _list_storage(cli: str, url: str, stage: Stage, seconds: float = 0.0, *options: str) -> tuple[str, re.Match[str]]:
    """Return the list of the objects at `url`, and its last line, which has their number."""
    listing = query_text(cli, "data", "list", url, *options, "--no-pager", seconds=seconds, stage=stage)
    if total := re.search(_TOTAL, listing, re.MULTILINE):
        return listing, total
    raise CommandFailed(_NO_TOTAL, stage)


LIST_POOLS = "osmo pool list -t json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool."""

    name: str
    status: str = ""
    max_exec_timeout: str = ""
    """Maximum run time, such as `7d`; empty for OSMO's limit."""
    platforms: tuple[str, ...] = ()


def list_pools(cli: str, seconds: float = 0.0) -> list[Pool]:
    """Return the pools in the service's order. Raise CommandFailed if it does not answer."""
    answer = as_mapping(query_json(cli, "pool", "list", "-t", "json", seconds=seconds, stage=Stage.PREFLIGHT))
    node_sets, by_name = as_mappings(answer.get("node_sets")), as_mapping(answer.get("pools"))  # one or the other
    pools = [pool for node_set in node_sets for pool in as_mappings(node_set.get("pools"))]
    return [_parse_pool(pool) for pool in [*pools, *({"name": name, **as_mapping(by_name[name])} for name in by_name)]]


def _parse_pool(pool_fields: Mapping[str, Any]) -> Pool:
    return Pool(
        name=as_text(pool_fields.get("name")),
        status=as_text(pool_fields.get("status")),
        max_exec_timeout=as_text(pool_fields.get("max_exec_timeout")),
        platforms=tuple(as_mapping(pool_fields.get("platforms"))),
    )


def list_largest_gpu_counts(cli: str, pool: str) -> dict[str, int]:
    """Return the GPUs of the largest machine of each platform of a pool. Raise CommandFailed if it does not answer."""
    answer = query_json(cli, "resource", "list", "-t", "json", "-p", pool, stage=Stage.PREFLIGHT)
    largest: dict[str, int] = {}
    for row in as_mappings(as_mapping(answer).get("resources")):
        count = as_int(as_mapping(row.get("exposed_fields")).get("gpu"))
        platforms = as_texts(as_mapping(row.get("pool_platform_labels")).get(pool))
        for platform in platforms if count is not None else ():
            largest[platform] = max(count or 0, largest.get(platform, 0))
    return largest


def list_credentials(cli: str) -> list[str]:
    """Return the names of your credentials; OSMO shows no keys. Raise CommandFailed if it does not answer."""
    answer = query_json(cli, "credential", "--format-type", "json", "list", stage=Stage.PREFLIGHT)
    return [as_text(row.get("cred_name")) for row in as_mappings(as_mapping(answer).get("credentials"))]
