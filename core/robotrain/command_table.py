"""The table of robotrain's own commands, by the groups in which help lists them."""

EXPERT = "More commands"
"""The group of commands that few people type: help names them on one line, and `--help-all` says what they do."""
GROUPS = {
    "Commands": {
        "init": ("init", "Write a job.yaml for this folder, or an example with its data."),
        "submit": ("submit", "Check a job, and start it on a platform."),
        "watch": ("watch", "Show the progress, loss and outputs of runs live."),
        "report": ("report", "Write an HTML page about a run: loss, settings, checkpoints."),
        "runs": ("runs", "List the runs submitted from this machine, newest first."),
    },
    "Follow a run": {
        "status": ("status", "Show the state of a run, its outputs, and the next commands."),
        "logs": ("logs", "Print the log of a run; with -f, follow it."),
        "wait": ("watch", "Wait until runs end; the exit code says how they ended."),
        "cancel": ("cancel", "Stop runs, and show what they saved."),
        "outputs": ("outputs", "List the checkpoints of a run; with --to, download them."),
        "ui": ("ui", "Serve MLflow, and open the platform's page of a run in a browser."),
    },
    "Go on from a run": {
        "diff": ("diff", "Show what differs between runs: settings, data, results."),
        "compare": ("compare", "Decide which of several policies is better, by paired episodes."),
        "resume": ("resubmit", "Continue from a run's last complete checkpoint, as a new run."),
        "resubmit": ("resubmit", "Submit a run again, as its next attempt; --set changes values."),
        "publish": ("publish", "Send the checkpoints of a run to the Hugging Face Hub."),
        "register": ("register", "Register a checkpoint of a run as a version of a model."),
    },
    "Plan jobs": {
        "render": ("render", "Render the plan that `submit` would send."),
        "explain": ("explain", "Show each value of a job, its origin, and what it overrode."),
        "pipeline": ("pipeline", "Submit jobs that depend on each other: train, evaluate, register."),
        "sweep": ("sweep", "Run one job over several values, and compare the results."),
        "doctor": ("doctor", "Check this machine for what would stop a submit."),
    },
    EXPERT: {
        "shell": ("shell", "Open a shell where a run works, or run a command there."),
        "scores": ("scores", "List the evaluations made from here; a table for a paper."),
        "adopt": ("adopt", "Make a run of another machine, or of a colleague, one of this machine's."),
        "prune": ("prune", "Remove old runs, or cached environments and data."),
        "rename": ("rename", "Change the name or the note of a run."),
        "platforms": ("platforms", "Show what each platform supports."),
        "image": ("image", "Write the Dockerfile of an image with a workload's environments."),
        "schema": ("schema", "Print the JSON Schema of job.yaml, for editors."),
        "plugins": ("plugins", "List the installed plugins, and why any failed."),
    },
}
"""The module in `cli.commands` and the line of help of each command, in the order of help."""
COMMANDS = {name: entry for group in GROUPS.values() for name, entry in group.items()}

ALIASES = {"ls": "runs", "list": "runs", "ps": "runs"}
"""Words that run a command as its own name does."""
