"""Whether somebody is there at an address, whatever they answer: nobody signs in for that."""

import urllib.error
import urllib.request

SECONDS = 3.0


def answers(url: str) -> bool:
    """Whether there is an answer within seconds; a refusal is one."""
    try:
        opener = (
            urllib.request.build_opener()
        )  # `urlopen` keeps the proxies that the process had when it was first used
        opener.open(url, timeout=SECONDS).close()
    except urllib.error.HTTPError as answer:  # it asks for a sign-in: it is there
        answer.close()
    except (OSError, ValueError):
        return False
    return True
