"""A folder of objects in S3: the typed source, and what is rejected. Standard library only."""

import re
from dataclasses import dataclass
from typing import ClassVar, NoReturn
from urllib.parse import parse_qs, unquote

FORM = "s3://BUCKET/PREFIX"
ENDPOINT_FORM = "s3+https://HOST/BUCKET/PREFIX"

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
MAX_KEY_BYTES = 1024


@dataclass(frozen=True, slots=True)
class S3Prefix:
    """Every object below a prefix. `endpoint` is the address of the store, as `https://HOST`; empty for Amazon S3."""

    kind: ClassVar[str] = "s3"

    bucket: str
    prefix: str
    endpoint: str = ""

    def __str__(self) -> str:
        return (
            f"s3+{self.endpoint}/{self.bucket}/{self.prefix}" if self.endpoint else f"s3://{self.bucket}/{self.prefix}"
        )


class AddressError(ValueError):
    """Why a text names no folder in S3, and what to type instead, if known; neither repeats a secret."""

    def __init__(self, why: str, suggestion: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.suggestion = suggestion


def parse(text: str) -> S3Prefix:
    """Return the prefix that `text` addresses. Raise AddressError."""
    if re.search(_CONTROL, text):
        raise AddressError("An address in S3 cannot contain control characters.")
    if text != text.strip():
        raise AddressError("There is whitespace around the address.", _suggest(text.strip()))
    found = re.fullmatch(_ADDRESS, text)
    if found is None:
        _raise_wrong_form(text)
    scheme, address = found.groups()
    plain = re.split(rf"[?#]|&?{_SECRET}", address, maxsplit=1)[0]
    if plain != address:
        raise AddressError(
            "A query can contain a signature, which a job must not carry.", _suggest(_start(scheme) + plain)
        )
    if scheme is None:
        return S3Prefix(*_split_bucket(_start(scheme), address))
    endpoint, path = _split_endpoint(scheme, address)
    return S3Prefix(*_split_bucket(f"s3+{endpoint}/", path), endpoint)


def _start(scheme: str | None) -> str:
    return f"s3+{scheme}://" if scheme else "s3://"


def _suggest(text: str) -> str:
    """Return the printed form of `text`, or of its corrected form; empty if there is none."""
    try:
        return str(parse(text))
    except AddressError as error:
        return error.suggestion


def _raise_wrong_form(text: str) -> NoReturn:
    if hadoop := re.match(r"(?i)s3(?:[an]|\+(https?))?://", text):
        start = _start(hadoop[1] and hadoop[1].lower())
        raise AddressError(
            f"An address in S3 starts with {start} in lower case.", _suggest(start + text[hadoop.end() :])
        )
    if text.lower().startswith("arn:"):
        plain = re.fullmatch(r"arn:aws[\w-]*:s3:::([^?#]+)", text)
        raise AddressError(f"An ARN is not an address: type {FORM}.", _suggest(f"s3://{plain[1]}") if plain else "")
    web = re.match(r"(?i)https?://([^?#]*)(?:\?([^#]*))?", text)
    if web is None or "@" in web[1].partition("/")[0]:
        raise AddressError(f"An address in S3 has the form {FORM}, or {ENDPOINT_FORM} in another store.")
    if console := re.match(_CONSOLE, web[1]):
        below = parse_qs(web[2] or "").get("prefix", [""])[0]
        raise AddressError("This is a page of the AWS console.", _suggest(f"s3://{console[1]}/{below}"))
    if named := re.fullmatch(_PATH_STYLE, web[1]) or re.fullmatch(_HOST_STYLE, web[1]):
        why = "This is the address for web browsers" + (", and its query may contain a signature." if web[2] else ".")
        raise AddressError(why, _suggest(f"s3://{named[1]}/{unquote(named[2])}"))
    scheme = text.partition(":")[0].lower()
    raise AddressError(
        "The address of a store other than Amazon S3 starts with s3+.", _suggest(f"s3+{scheme}://{web[1]}")
    )


def _split_endpoint(scheme: str, address: str) -> tuple[str, str]:
    """Return the endpoint of an address, and the rest of it."""
    host, _, path = address.partition("/")
    if "@" in host:
        plain = _suggest(f"s3+{scheme}://{host.rpartition('@')[2]}/{path}")
        raise AddressError("The address of a store cannot contain a user name or a password.", plain)
    if not re.fullmatch(_HOST, host.lower()):
        raise AddressError(f"The address of another store is {ENDPOINT_FORM}, with a port if it needs one.")
    return f"{scheme}://{host.lower()}", path


def _split_bucket(start: str, path: str) -> tuple[str, str]:
    bucket, _, prefix = path.partition("/")
    if not bucket:
        raise AddressError("The bucket is missing.", f"{start}BUCKET/PREFIX")
    if "@" in bucket or ":" in bucket:
        raise AddressError("A bucket is named without a user name, a password or a port.")
    if not re.fullmatch(_BUCKET, bucket):
        raise AddressError("A bucket's name is 3 to 63 lower-case letters, digits, dots and dashes.")
    if not prefix.strip("/"):
        raise AddressError("The prefix is missing: a whole bucket is not accepted.", f"{start}{bucket}/PREFIX")
    _check_prefix(f"{start}{bucket}/", prefix := prefix.rstrip("/"))
    return bucket, prefix


def _check_prefix(start: str, prefix: str) -> None:
    segments = prefix.split("/")
    if "" in segments:
        raise AddressError("It contains an empty name (`//`).", _suggest(start + "/".join(filter(None, segments))))
    if {".", ".."} & {*segments}:
        raise AddressError("Keys in S3 are not paths: `.` and `..` have no meaning there.")
    if set(prefix) & set("'\"{}\\;"):
        raise AddressError("A prefix cannot contain quotes, braces, backslashes or semicolons.")
    if re.search("%[0-9A-Fa-f]{2}", prefix):
        raise AddressError("Keys are used unchanged, not percent-decoded.", _suggest(start + unquote(prefix)))
    if prefix != prefix.rstrip():
        raise AddressError("The prefix ends with whitespace.", _suggest(start + prefix.rstrip()))
    if len(prefix.encode()) > MAX_KEY_BYTES:
        raise AddressError(f"A key has at most {MAX_KEY_BYTES} bytes.")
