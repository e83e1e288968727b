"""A file that somebody names because it holds a secret. What is in it is never repeated."""

from robotrain_sources.fetching.answer import Refused

LONGEST = 64 * 1024


def read(file: str, should: str) -> str:
    """Its text, without the white space around it. should: what it should hold, for the sentence of an empty one.

    Raises Refused, with the file's name.
    """
    try:
        with open(file, encoding="utf-8") as content:
            text = content.read(LONGEST).strip()
    except OSError as error:
        raise Refused(f"the credential file {file} cannot be read: {error.strerror}", "configuration") from None
    except ValueError:  # no text at all
        raise wrong(file, should) from None
    if not text:
        raise Refused(f"the credential file {file} is empty: it should hold {should}", "configuration")
    return text


def wrong(file: str, should: str) -> Refused:
    """For one that holds something else."""
    return Refused(f"the credential file {file} holds something else than {should}", "configuration")
