"""A folder of objects in S3: the typed source, and what is refused. Standard library only: both halves import it."""

import re
from dataclasses import dataclass
from typing import ClassVar, NoReturn
from urllib.parse import parse_qs, unquote

FORM = "s3://BUCKET/PREFIX"
ELSEWHERE = "s3+https://HOST/BUCKET/PREFIX"

_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
_ADDRESS = r"s3(?:\+(https?))?://(.*)"
_SECRET = r"(?i:x-amz-(?:signature|credential|security-token)|signature|awsaccesskeyid|secret\w*|sig)="
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?"
_BUCKET = r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_AWS = r"amazonaws\.com(?:\.cn)?"
_CONSOLE = r"(?:[\w-]+\.)*console\.aws\.amazon\.com/s3/(?:buckets|object)/([^/?#]+)"
_PATH_STYLE = rf"s3[.\w-]*\.{_AWS}(?::\d+)?/([^/?#]+)/?([^?#]*)"
_HOST_STYLE = rf"([a-z0-9.-]+)\.s3[.\w-]*\.{_AWS}(?::\d+)?/?([^?#]*)"
LONGEST_KEY = 1024


@dataclass(frozen=True, slots=True)
class S3Prefix:
    """Every object below a prefix. endpoint: the store it lies in, as `https://HOST`; empty for Amazon's own."""

    kind: ClassVar[str] = "s3"

    bucket: str
    prefix: str
    endpoint: str = ""

    def __str__(self) -> str:
        return (
            f"s3+{self.endpoint}/{self.bucket}/{self.prefix}" if self.endpoint else f"s3://{self.bucket}/{self.prefix}"
        )


class AddressError(ValueError):
    """Why a text names no folder in S3, and what to type instead where that is known; neither repeats a secret."""

    def __init__(self, why: str, instead: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.instead = instead


def parse(text: str) -> S3Prefix:
    """The prefix that `text` addresses. Raises AddressError."""
    if re.search(_CONTROL, text):
        raise AddressError("An address in S3 holds no control characters.")
    if text != text.strip():
        raise AddressError("There is white space around the address.", _offer(text.strip()))
    found = re.fullmatch(_ADDRESS, text)
    if found is None:
        _refuse_form(text)
    scheme, address = found.groups()
    plain = re.split(rf"[?#]|&?{_SECRET}", address, maxsplit=1)[0]
    if plain != address:
        raise AddressError(
            "A query can carry a signature, and a job never carries one.", _offer(_start(scheme) + plain)
        )
    if scheme is None:
        return S3Prefix(*_bucket_and_prefix(_start(scheme), address))
    endpoint, path = _endpoint(scheme, address)
    return S3Prefix(*_bucket_and_prefix(f"s3+{endpoint}/", path), endpoint)


def _start(scheme: str | None) -> str:
    return f"s3+{scheme}://" if scheme else "s3://"


def _offer(text: str) -> str:
    """The printed form of `text`, or of what it would take to mend it; empty when nothing is known."""
    try:
        return str(parse(text))
    except AddressError as refused:
        return refused.instead


def _refuse_form(text: str) -> NoReturn:
    if hadoop := re.match(r"(?i)s3(?:[an]|\+(https?))?://", text):
        start = _start(hadoop[1] and hadoop[1].lower())
        raise AddressError(
            f"An address in S3 starts with {start}, in lower case.", _offer(start + text[hadoop.end() :])
        )
    if text.lower().startswith("arn:"):
        plain = re.fullmatch(r"arn:aws[\w-]*:s3:::([^?#]+)", text)
        raise AddressError(f"An ARN is no address: type {FORM}.", _offer(f"s3://{plain[1]}") if plain else "")
    web = re.match(r"(?i)https?://([^?#]*)(?:\?([^#]*))?", text)
    if web is None or "@" in web[1].partition("/")[0]:
        raise AddressError(f"An address in S3 has the form {FORM}, or {ELSEWHERE} in a store of one's own.")
    if console := re.match(_CONSOLE, web[1]):
        below = parse_qs(web[2] or "").get("prefix", [""])[0]
        raise AddressError("This is a page of the AWS console.", _offer(f"s3://{console[1]}/{below}"))
    if named := re.fullmatch(_PATH_STYLE, web[1]) or re.fullmatch(_HOST_STYLE, web[1]):
        why = "This is the address for web browsers" + (", with a query that may carry a signature." if web[2] else ".")
        raise AddressError(why, _offer(f"s3://{named[1]}/{unquote(named[2])}"))
    scheme = text.partition(":")[0].lower()
    raise AddressError("A store of one's own is named with s3+ in front.", _offer(f"s3+{scheme}://{web[1]}"))


def _endpoint(scheme: str, address: str) -> tuple[str, str]:
    """The store of an address that names one, and the rest of it."""
    host, _, path = address.partition("/")
    if "@" in host:
        plain = _offer(f"s3+{scheme}://{host.rpartition('@')[2]}/{path}")
        raise AddressError("The address of a store holds no user name and no password.", plain)
    if not re.fullmatch(_HOST, host.lower()):
        raise AddressError(f"A store of one's own is {ELSEWHERE}, with a port where it needs one.")
    return f"{scheme}://{host.lower()}", path


def _bucket_and_prefix(start: str, path: str) -> tuple[str, str]:
    bucket, _, prefix = path.partition("/")
    if not bucket:
        raise AddressError("The bucket is missing.", f"{start}BUCKET/PREFIX")
    if "@" in bucket or ":" in bucket:
        raise AddressError("A bucket is named alone: no user name, no password and no port go with it.")
    if not re.fullmatch(_BUCKET, bucket):
        raise AddressError("A bucket's name is 3 to 63 lower-case letters, digits, dots and dashes.")
    if not prefix.strip("/"):
        raise AddressError("The prefix is missing: a whole bucket is never taken.", f"{start}{bucket}/PREFIX")
    _check_prefix(f"{start}{bucket}/", prefix := prefix.rstrip("/"))
    return bucket, prefix


def _check_prefix(start: str, prefix: str) -> None:
    segments = prefix.split("/")
    if "" in segments:
        raise AddressError("There is an empty name (`//`) in it.", _offer(start + "/".join(filter(None, segments))))
    if {".", ".."} & {*segments}:
        raise AddressError("Keys in S3 are no paths: `.` and `..` mean nothing there.")
    if set(prefix) & set("'\"{}\\;"):
        raise AddressError("A prefix holds no quotes, braces, backslashes or semicolons.")
    if re.search("%[0-9A-Fa-f]{2}", prefix):
        raise AddressError("Keys are taken as they are, never percent-decoded.", _offer(start + unquote(prefix)))
    if prefix != prefix.rstrip():
        raise AddressError("The prefix ends with white space.", _offer(start + prefix.rstrip()))
    if len(prefix.encode()) > LONGEST_KEY:
        raise AddressError(f"A key has at most {LONGEST_KEY} bytes.")
