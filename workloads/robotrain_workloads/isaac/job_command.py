"""The command of a job that starts Isaac Lab: its environment variables, and the entries of the cache that it reads."""

from collections.abc import Mapping, Sequence

from robotrain_runtime.contract.container_plugin import WorkCommand
from robotrain_runtime.contract.document import Folders, JobDocument
from robotrain_runtime.contract.event import Note

from robotrain_workloads.isaac import assets, installation, user_code


def make_command(
    document: JobDocument,
    data: Folders,
    module: str,
    module_options: Sequence[str],
    environ: Mapping[str, str] | None = None,
    notes: tuple[Note, ...] = (),
) -> WorkCommand:
    """Return the command that runs a module with options of its own; the job's options follow a `--`."""
    return WorkCommand(
        arguments=("-m", module, *module_options, *document.trainer_args),
        environ={
            **installation.make_job_environ(document),
            **assets.make_environ(document, data),
            **user_code.make_environ(document, data),
            **(environ or {}),
        },
        notes=notes,
        cache_folders=assets.list_cache_folders(document),
    )
