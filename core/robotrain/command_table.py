"""The table of robotrain's own commands, as help lists them."""

COMMANDS = {
    "init": ("init", "Write a job.yaml for this folder, or an example with its data."),
    "submit": ("submit", "Check a job, render its plan, and submit it to a platform."),
    "render": ("render", "Render the plan: exactly what `submit` would send."),
    "explain": ("explain", "Show each value of a job, its origin, and what it overrode."),
    "pipeline": ("pipeline", "Submit jobs that depend on each other: train, evaluate, register."),
    "sweep": ("sweep", "Run one job over several values, and compare the results."),
    "runs": ("runs", "List the runs submitted from this machine, newest first."),
    "status": ("status", "Show the state of a run, its outputs, and the next commands."),
    "logs": ("logs", "Print the log of a run; with -f, follow it."),
    "watch": ("watch", "Show the progress, loss and outputs of runs live."),
    "wait": ("watch", "Wait until runs end; the exit code says how they ended."),
    "cancel": ("cancel", "Stop runs, and show what they saved."),
    "outputs": ("outputs", "List the checkpoints of a run; with --to, download them."),
    "report": ("report", "Write an HTML page about a run: loss, settings, checkpoints."),
    "ui": ("ui", "Open MLflow and the platform's page of a run in a browser."),
    "rename": ("rename", "Change the name or the note of a run."),
    "diff": ("diff", "Show what differs between runs: settings, data, results."),
    "resubmit": ("resubmit", "Submit a run again, as its next attempt; --set changes values."),
    "resume": ("resubmit", "Continue from a run's last complete checkpoint, as a new run."),
    "publish": ("publish", "Send the checkpoints of a run to the Hugging Face Hub."),
    "register": ("register", "Register a checkpoint of a run as a version of a model."),
    "platforms": ("platforms", "Show what each platform supports."),
    "image": ("image", "Write the Dockerfile of an image with a workload's environments."),
    "schema": ("schema", "Print the JSON Schema of job.yaml, for editors."),
    "plugins": ("plugins", "List the installed plugins, and why any failed; write a new one."),
    "doctor": ("doctor", "Check this machine for what would stop a submit."),
    "cache": ("cache", "List what is cached for later runs; with --prune, remove it."),
}
"""The module in `cli.commands` and the line of help of each command."""

ALIASES = {"ls": "runs", "list": "runs", "ps": "runs"}
"""Words that run a command as its own name does."""

OTHER_WORDS = {
    "launch": "submit job.yaml --platform PLATFORM",
    "run": "submit job.yaml --platform PLATFORM",
    "apply": "submit job.yaml --platform PLATFORM",
    "train": "submit job.yaml --platform PLATFORM",
    "queue": "runs --state pending",
    "history": "runs --since 7d",
    "show": "status RUN",
    "diagnose": "status RUN",
    "compare": "diff RUN RUN",
    "stop": "cancel RUN",
    "kill": "cancel RUN",
    "tail": "logs -f RUN",
    "why": "status RUN",
    "rm": "runs --prune RUN",
    "remove": "runs --prune RUN",
    "del": "runs --prune RUN",
    "delete": "runs --prune RUN",
    "prune": "runs --prune --older-than 30d",
    "clean": "runs --prune --older-than 30d",
    "gc": "runs --prune --older-than 30d",
    "describe": "status RUN",
    "info": "status RUN",
    "query": "status RUN",
    "jobs": "runs",
    "squeue": "runs",
    "scancel": "cancel RUN",
    "down": "cancel RUN",
    "log": "logs RUN",
    "attach": "watch RUN",
    "follow": "logs -f RUN",
    "stream": "logs -f RUN",
    "download": "outputs RUN --to FOLDER",
    "retry": "resubmit RUN",
    "rerun": "resubmit RUN",
    "restart": "resubmit RUN",
    "continue": "resume RUN",
    "dashboard": "ui RUN",
    "open": "ui RUN",
    "create": "submit job.yaml --platform PLATFORM",
    "sbatch": "submit job.yaml --platform PLATFORM",
    "build": "image",
    "check": "doctor",
    "login": "doctor",
    "auth": "doctor",
    "logout": "doctor",
    "config": "explain job.yaml --platform PLATFORM",
    "configure": "init",
    "version": "--version",
    "help": "--help",
}
"""Words of other tools, and the command line that is suggested instead. RUN stands for the run that was typed."""
_NO_SIGN_IN = "robotrain has no sign-in of its own: it uses those of the tools of each platform."
WORD_REASONS = {
    **dict.fromkeys(("login", "auth", "logout"), _NO_SIGN_IN),
    "config": "Settings stand in job.yaml, robotrain.toml, .env and the environment.",
}
"""Why no command line does the same as a word of `OTHER_WORDS`."""
GROUP_WORDS = ("workflow", "job", "jobs", "task")
"""Words of other tools before a command: `workflow submit`."""
WORD_REMARKS = {
    "doctor": "checks this machine, and the sign-ins",
    "explain job.yaml --platform PLATFORM": "shows each value of a job, and where it stands",
}
"""What lines of `OTHER_WORDS` do."""
REMOVAL_LINES = {
    "runs --prune --older-than 30d": "runs that ended more than 30 days ago",
    "cache --prune --unused 30d": "cached environments and data that no run used for 30 days",
}
"""The command lines that remove what is old, each with its remark."""
EVALUATION_WORDS = ("eval", "evaluate", "validate")
"""Words that are answered with the line that evaluates the run after them."""
