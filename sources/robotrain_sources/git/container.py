"""The container plugin of repositories: fetched once for each commit, in the data environment."""

from collections.abc import Iterator
from pathlib import Path

from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.failure import SourceError
from robotrain_runtime.data_environment import ENVIRONMENT as ENVIRONMENT  # part of the plugin: it reads key vaults

from robotrain_sources.fetching import program
from robotrain_sources.git.reference import parse_repository

FETCH = "robotrain_sources.git.fetch"


def preflight(source: JobSource, context: ContainerContext) -> Iterator[str]:
    """Yield what is wrong with the address."""
    try:
        parse_repository(source.uri)
    except SourceError as error:
        yield f"{source.uri} is not a repository: {error.why}"


def fetch(source: JobSource, context: ContainerContext) -> Path:
    """Return the folder with the files of the commit. Raise OSError with a sentence."""
    for problem in preflight(source, context):
        raise OSError(problem)
    options = {
        "--pin": source.pin,
        "--credential": context.credentials.get(source.kind, ""),
        "--way": context.credential_hints.get(source.kind, ""),
    }
    arguments = [word for option in options.items() if option[1] for word in option]
    return program.run_program(
        context, FETCH, source.uri, "--to", str(context.cache / "sources" / source.kind), *arguments
    )
