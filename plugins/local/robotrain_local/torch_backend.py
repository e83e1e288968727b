"""Rules on `--torch-backend`: a build of PyTorch, in uv's words, for the environment that is built."""

import re
from collections.abc import Iterator

from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact

from robotrain_local.settings import Settings

FLAG = "--torch-backend"
BUILD = r"auto|cpu|xpu|cu[0-9]{2,3}|rocm[0-9]+(\.[0-9]+){1,2}"


def wrong_with(settings: Settings) -> Iterator[Problem]:
    """No build at all, or one for an environment that is not built."""
    if not (said := settings.torch_backend):
        return
    if not re.fullmatch(BUILD, said):
        yield _problem(
            "torch-backend-unknown",
            f"{FLAG} takes a build of PyTorch: auto, cpu, cu126, rocm6.4, xpu",
            said,
            "The number is the version of CUDA (12.6) or ROCm (6.4).",
            Instead(f"{FLAG} auto", "what suits this machine's driver"),
            Instead(f"{FLAG} cpu", "no GPU"),
        )
    elif settings.environment:
        yield _problem(
            "torch-backend-unused",
            f"{FLAG} says nothing about an environment that is given",
            said,
            f"The run uses what {settings.environment} holds; nothing is built.",
            Instead(f"leave {FLAG} out"),
            Instead("leave --environment out", "the locked environment is built, with that PyTorch"),
        )


def _problem(code: str, title: str, given: str, why: str, *instead: Instead) -> Problem:
    return Problem(code=code, stage=Stage.PARSE, title=title, where=FLAG, given=redact(given), why=why, instead=instead)
