"""What `robotrain` itself offers: the table that help shows, and that finds the module of a command."""

COMMANDS = {
    "submit": ("submit", "Check a job, render its plan, and send it to a platform."),
    "render": ("render", "Render the plan: exactly what `submit` would send."),
    "explain": ("explain", "Show each value of a job, where it came from, and what it overrode."),
    "runs": ("runs", "The runs that were submitted from here, newest first, and how they are."),
    "status": ("status", "How a run is, why it waits or stopped, what it left, and what to type next."),
    "logs": ("logs", "The log of a run; without -f what there is by now, at once."),
    "watch": ("watch", "Runs as they go on: how far, their loss, what they leave."),
    "wait": ("wait", "Follow runs to their end; the exit code says how they ended."),
    "cancel": ("cancel", "Stop runs, and say what they leave. One that ended already is left as it is."),
    "outputs": ("outputs", "What a run left: its checkpoints and other files; with --to, brought here."),
    "report": ("report", "Write a page about a run: its loss, settings, lineage and checkpoints."),
    "resubmit": ("resubmit", "Send a run's very plan once more, as its next attempt; with --set a changed one."),
    "resume": ("resubmit", "Go on from a run's last complete checkpoint, as a run of its own."),
    "register": ("register", "Make a checkpoint of a run a version of a model in the platform's registry."),
    "platforms": ("platforms", "What each platform takes and can do, as it declares it."),
    "image": ("image", "The Dockerfile of an image that holds what a workload's jobs run in."),
    "schema": ("schema", "The JSON Schema of job.yaml for what is installed; editors complete and check it."),
    "plugins": ("plugins", "What is installed, what it brings, what failed and why."),
    "doctor": ("doctor", "What would stop a submit here, and how to mend it."),
    "cache": ("cache", "What is kept for further runs, when it was last used, and removing what is not."),
}
"""Each command with its module in this package and its line of help; a module is imported when its command is used."""
