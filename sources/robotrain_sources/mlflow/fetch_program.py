"""Shared code of both fetch programs: command line, cache folders, local artifacts, policy lineage from tags."""

import argparse
import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract import files
from robotrain_runtime.contract.address import redact_address
from robotrain_runtime.tracking import address as tracking_address

from robotrain_sources.fetching import errors, program

QUIET_ENV = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
TIMEOUT_ENV = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""Defaults; the environment may override them."""


def parse_arguments(*names: str) -> argparse.Namespace:
    """Return the command line of a fetch program: `names`, the folder to fetch to, and the cache."""
    parser = argparse.ArgumentParser(prog="fetch")
    for name in names:
        parser.add_argument(name)
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="where the policy's lineage is recorded")
    return parser.parse_args()


FetchPolicy = Callable[[str], tuple[Path, Mapping[str, str]]]
"""Fetches from a tracking address. Returns the folder, and the tags that say where the policy comes from."""


def fetch_with_mlflow(fetch: FetchPolicy, cache: Path, subject: str, service: str) -> None:
    """Answer with the folder that `fetch` returns for the environment's tracking address. Raise SystemExit.

    The policy's lineage is recorded in `cache`. `subject` and `service` name what is fetched and from where, for
    messages.
    """
    os.environ.update({**TIMEOUT_ENV, **os.environ, **QUIET_ENV})
    address = os.environ["MLFLOW_TRACKING_URI"]

    def fetch_and_record() -> Path:
        try:
            folder, tags = fetch(address)
            model_lineage.write_policy_lineage(cache, folder, read_policy_lineage(tags), tags)
            return folder
        except (errors.FetchError, OSError):
            raise
        except ModuleNotFoundError as error:
            raise errors.FetchError(f"the run's environment lacks {error.name}, needed to reach {service}") from error
        except Exception as error:
            reason = f"{subject} cannot be fetched from {service} at {redact_address(address)}"
            raise errors.FetchError(f"{reason} ({errors.format_error(error)})") from error

    program.run_and_answer(fetch_and_record)


MANIFEST = "fetched.json"
QUIET_WAIT_SECONDS = 1.0
"""Seconds to wait for a lock before saying so."""


def fill_cache_folder(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return the files of `folder`; if it is missing, `fill` fetches them into the new, empty folder it is given."""

    def fill_new_folder(to: Path) -> None:
        if folder.exists():
            print(f"{folder} was changed or damaged: fetching it again", flush=True)
        to.mkdir()
        fill(to)

    return files.fill_cache_folder(
        folder,
        MANIFEST,
        fill_new_folder,
        on_wait=lambda: print(f"another run is fetching {folder}: waiting", flush=True),
        quiet_seconds=QUIET_WAIT_SECONDS,
    )


def fill_from_download(folder: Path, download: Callable[[str], str], check: Callable[[Path], None]) -> None:
    """Replace the empty `folder` by what `download` fetches into the folder it is given, once `check` accepts it."""
    incoming = folder.with_name("incoming")
    incoming.mkdir()
    downloaded = Path(download(str(incoming)))
    check(downloaded)
    folder.rmdir()
    os.replace(downloaded, folder)
    shutil.rmtree(incoming, ignore_errors=True)


def find_local_folder(uri: str) -> Path | None:
    """Return the local folder of an artifact address; None if it is remote."""
    address = urlsplit(uri)
    if address.scheme == "file" and address.netloc in ("", "localhost"):
        return Path(unquote(address.path))
    return Path(uri) if not address.scheme and uri.startswith("/") else None


def lock_tracking_database(address: str) -> contextlib.AbstractContextManager[None]:
    """Return a lock for creating the tables of a local database: the run's own tracking may create them just now."""
    if not address.startswith(tracking_address.SQLITE):
        return contextlib.nullcontext()
    database = Path(address.removeprefix(tracking_address.SQLITE))
    if tracking_address.has_mlflow_tables(database):
        return contextlib.nullcontext()
    return files.hold_lock(
        database.with_name(database.name + ".lock"),
        lambda: print(f"waiting for {database}, which another run is creating", flush=True),
        QUIET_WAIT_SECONDS,
    )


EVALUATION_TAG = "policy_uri"
"""A tag of a version that an evaluation registered: its other tags belong to the evaluation, not the training."""
TRAINING_TAGS = {
    model_lineage.POLICY_RUN: "robotrain_run",
    model_lineage.POLICY_JOB: "job_digest",
    model_lineage.POLICY_DIGEST: "checkpoint_sha256",
}
CHECKPOINT_TAG = "checkpoint"
"""The tag with the step, in the form of a folder name."""


def read_policy_lineage(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the lineage in a model's or run's tags, under the names of `model_lineage`; only what is known."""
    if lineage := {name: tags[name] for name in (*TRAINING_TAGS, model_lineage.POLICY_STEP) if tags.get(name)}:
        return lineage
    run = {} if EVALUATION_TAG in tags else {name: tags[tag] for name, tag in TRAINING_TAGS.items() if tags.get(tag)}
    step = tags.get(CHECKPOINT_TAG, "")
    return {**run, model_lineage.POLICY_STEP: str(int(step))} if step.isdecimal() and int(step) else run
