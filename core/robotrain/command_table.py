"""The table of robotrain's own commands, as help lists them."""

COMMANDS = {
    "init": ("init", "Write a job.yaml for this folder, or an example with its data."),
    "submit": ("submit", "Check a job, render its plan, and submit it to a platform."),
    "render": ("render", "Render the plan: exactly what `submit` would send."),
    "explain": ("explain", "Show each value of a job, where it came from, and what it overrode."),
    "pipeline": ("pipeline", "Submit several jobs that depend on each other: train, evaluate, register."),
    "sweep": ("sweep", "Run one job over several values, and compare the results."),
    "runs": ("runs", "List the runs submitted from this machine and their states, newest first."),
    "status": ("status", "Show the state of a run, the reason for it, its outputs, and the next commands."),
    "logs": ("logs", "Print the log of a run; with -f, follow it."),
    "watch": ("watch", "Show the progress, loss and outputs of runs live."),
    "wait": ("watch", "Wait until runs end; the exit code says how they ended."),
    "cancel": ("cancel", "Stop runs, and show what they saved."),
    "outputs": ("outputs", "List the checkpoints and other outputs of a run; with --to, download them."),
    "report": ("report", "Write an HTML page about a run: loss, settings, lineage, checkpoints."),
    "resubmit": ("resubmit", "Submit the plan of a run again, as its next attempt; with --set, change values."),
    "resume": ("resubmit", "Continue from a run's last complete checkpoint, as a new run."),
    "register": ("register", "Register a checkpoint of a run as a version of a model."),
    "platforms": ("platforms", "Show what each platform supports."),
    "image": ("image", "Write the Dockerfile of an image that contains a workload's environments."),
    "schema": ("schema", "Print the JSON Schema of job.yaml, for completion and checks in editors."),
    "plugins": ("platforms", "List the installed plugins, what they provide, and why any failed to load."),
    "doctor": ("doctor", "Check this machine for what would stop a submit, and say how to fix it."),
    "cache": ("cache", "List what is cached for later runs; with --prune, remove what is no longer used."),
}
"""The module in `cli.commands` and the line of help of each command."""
