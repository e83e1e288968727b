"""Options of sbatch that robotrain sets itself, or that its own settings take the place of."""

import functools
from collections.abc import Mapping

ONE_NODE = "a run has one task on each node, with all its GPUs: use --num-nodes N for several nodes, --gpus N"
_SUBSTITUTES = {
    "account partition qos": "use --{name} NAME",
    "constraint": "use --constraint FEATURE",
    "exclude": "use --exclude NODE",
    "time": "use --time TIME",
    "gpus gpus-per-node gpus-per-task gpus-per-socket": "use --gpus N, and --gpu-type TYPE",
    "mem": "use --memory SIZE",
    "cpus-per-task": "use --cpus N",
    "job-name": "use --name NAME",
    "comment": "robotrain finds its jobs by it: use --note TEXT",
    "nodes ntasks ntasks-per-node ntasks-per-gpu tasks tasks-per-node": ONE_NODE,
    "array": "use `robotrain sweep`",
    "dependency kill-on-invalid-dep": "use `robotrain pipeline`",
    "output error input open-mode": "the log is in the run folder: `robotrain logs RUN`, --runs-dir FOLDER",
    "chdir workdir": "use --runs-dir FOLDER",
    "export export-file get-user-env": "use --module NAME or --prologue FILE; for a secret --secret NAME=FILE",
    "signal": "use --stop-seconds N",
    "requeue no-requeue": "use --continuation WAY: requeue, or never",
    "container container-id container-image container-mounts container-name": "use --container pyxis --image IMAGE",
    "wait": "use `robotrain submit --wait`",
    "test-only": "use `robotrain submit --dry-run`",
    "wrap": "use `robotrain submit command`",
    "cluster clusters": "submit on a login node of that cluster",
    "parsable quiet verbose version usage help": "it does not change the job: leave it out",
}


@functools.cache
def list_managed_options() -> Mapping[str, str]:
    """Return what to use in place of each option, by its long name."""
    rows = _SUBSTITUTES.items()
    return {
        name: substitute.replace("{name}", name) for option_names, substitute in rows for name in option_names.split()
    }


def find_substitute(name: str) -> str:
    """Return what to use in place of an option; empty if it may be given."""
    return list_managed_options().get(name, "")


def find_abbreviated(name: str) -> str:
    """Return the managed option that a name is short for, as sbatch reads it; empty for none."""
    if name in list_managed_options() or name == "container":  # an option of its own
        return ""
    return next((option for option in list_managed_options() if option.startswith(name)), "")
