"""Options of sbatch that robotrain sets itself, or that its own settings take the place of."""

MANAGED = (
    *("account", "array", "chdir", "cluster", "clusters", "comment", "constraint", "container", "container-id"),
    *("container-image", "container-mounts", "container-name", "cpus-per-task", "dependency", "error", "exclude"),
    *("export", "export-file", "get-user-env", "gpus", "gpus-per-node", "gpus-per-socket", "gpus-per-task", "help"),
    *("input", "job-name", "kill-on-invalid-dep", "mem", "no-requeue", "nodes", "ntasks", "ntasks-per-gpu"),
    *("ntasks-per-node", "open-mode", "output", "parsable", "partition", "qos", "quiet", "requeue", "signal", "tasks"),
    *("tasks-per-node", "test-only", "time", "usage", "verbose", "version", "wait", "workdir", "wrap"),
)
"""Their long names. Submits are found by `comment`, `job-name`, `array` and `requeue`."""


def find_managed(name: str) -> str:
    """Return the managed option that a name is, or is short for, as sbatch reads it; empty for none."""
    if name in MANAGED:
        return name
    return next((option for option in MANAGED if option.startswith(name)), "")
