"""Words that training programs have for the same option: `--lr` and `--learning-rate`."""

from collections.abc import Iterable

from robotrain.nearest_name import is_misspelling

SYNONYMS = (
    "lr learning-rate learningrate base-lr init-lr initial-lr optimizer-lr",
    "wd weight-decay",
    "batch-size batchsize batch bs train-batch-size per-device-train-batch-size",
    "epochs epoch nepochs num-epochs n-epochs max-epochs train-epochs num-train-epochs",
    "steps num-steps n-steps max-steps train-steps training-steps num-train-steps total-steps iterations iters"
    " num-iters max-iters num-iterations max-iterations total-timesteps",
    "seed random-seed manual-seed",
    "workers num-workers n-workers",
    "out outdir out-dir output output-dir output-path output-folder save-dir save-path logdir log-dir results-dir",
    "data data-dir data-path data-root data-folder dataset dataset-dir dataset-path dataset-root train-data",
    "config cfg config-file config-path",
    "ckpt checkpoint ckpt-path checkpoint-path",
    "env env-id env-name environment",
    "name exp-name experiment-name run-name",
)


def find_synonym(name: str, options: Iterable[str], *, exact: bool = False) -> str:
    """Return the option that has another word for what a name means; empty if none has, or several have.

    :param exact: whether a misspelt name means nothing.
    """
    plain_name = _make_plain(name)
    options_by_name = {_make_plain(option): option for option in options}
    for words in map(str.split, SYNONYMS):
        is_meant = plain_name in words or (not exact and any(is_misspelling(plain_name, word) for word in words))
        meant_options = {options_by_name[word] for word in words if word in options_by_name}
        if is_meant and len(meant_options) == 1:
            return meant_options.pop()
    return ""


def _make_plain(name: str) -> str:
    return name.lstrip("-+~").replace("_", "-").lower()
