"""Parameters that workloads share, whatever they train with."""

from typing import Annotated

from robotrain_runtime.contract.parameter import MODEL_NAME_PATTERN, Param

NAME_PATTERN = f"^{MODEL_NAME_PATTERN}$"
NAME_HELP = "a name of letters, digits, `_`, `.` and `-`, at most 255, a letter, a digit or `_` first"
SystemMetrics = Annotated[bool, Param(help="record metrics of the machine", env=("SYSTEM_METRICS",))]
NumNodes = Annotated[int, Param(help="nodes that train together", metavar="N", gt=0, requires="multi_node")]


def make_model_param(help: str, variable: str) -> Param:
    """Return the parameter with the name of the registered model."""
    return Param(
        help=help,
        short="-r",
        env=(variable,),
        pattern=NAME_PATTERN,
        pattern_help=NAME_HELP,
        metavar="NAME",
        requires="register_model",
    )


def _make_publish_param(published: str, places: str) -> Param:
    help = f"where {published}: {places}"
    return Param(help=help, common=True, metavar="FOLDER|URL", requires="publish_folder", destination=True)


CheckpointsUrl = Annotated[
    str | None,
    _make_publish_param("complete checkpoints are copied to", "a folder, a blob URL, or hf://OWNER/NAME"),
]
ResultsUrl = Annotated[
    str | None, _make_publish_param("results are copied to, below the run's name", "a folder, or a blob URL")
]

AllowSecretFile = Annotated[
    str | None,
    Param(
        help="a file of --code that looks like a secret and is meant to be sent, as a path in its folder",
        metavar="PATH",
        form="texts",
    ),
]
