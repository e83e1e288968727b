"""Rules on OSMO credentials: names alone, and each read in one way."""

from collections.abc import Iterator

from robotrain.job import Job
from robotrain.problem import Problem, Stage
from robotrain_azure.finding import cannot, ways

from robotrain_osmo import credentials
from robotrain_osmo.settings import Settings


def wrong_with(job: Job, settings: Settings) -> Iterator[Problem]:
    """Texts that name none, and one that would be read both as names of the environment and as files."""
    given = {"--hf-credential": settings.hf_credential, "--blob-credential": settings.blob_credential}
    if credentials.wandb(job):
        given["--wandb-credential"] = settings.wandb_credential
    wrong = [problem for flag, text in given.items() if text is not None and (problem := _named(flag, text))]
    yield from wrong
    if not wrong:
        yield from _both(credentials.used(job, settings))


def _named(flag: str, text: str) -> Problem | None:
    try:
        credentials.named(text, "key")
    except credentials.CredentialError as error:
        return Problem(  # what was given is not repeated: it may be the secret itself
            code="osmo-credential-invalid",
            stage=Stage.PARSE,
            title=f"{flag} takes the name of an OSMO credential, and this is none",
            where=flag,
            why=str(error),
            instead=ways(f"{flag} {credentials.FORM}"),
        )
    return None


def _both(used: tuple[credentials.Named, ...]) -> Iterator[Problem]:
    files = {one.name for one in used if not one.environ}
    for one in used:
        if one.environ and one.name in files:
            title = f"{one.setting} and --blob-credential name the same credential"
            why = "OSMO gives a credential to a task as names of its environment or as files, not both."
            way = ways("--blob-credential NAME")
            yield cannot("osmo-credential-twice", title, one.setting, why, way, one.name)
