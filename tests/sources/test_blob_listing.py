"""What a listing means as files: folders that an account lists too, what tools left behind, and what was meant."""

import itertools
from types import SimpleNamespace

import pytest
from robotrain_sources.blob_url import blob_client, fetch
from robotrain_sources.blob_url.blob_client import ListedBlob
from robotrain_sources.huggingface import fetch as huggingface_fetch


def blob(name: str, size: int = 1, **more) -> ListedBlob:
    return ListedBlob(name=name, size=size, etag=f"of {name}", **more)


def files(*blobs: ListedBlob) -> list[str]:
    return sorted(file.name for file in fetch.select_files(sorted(blobs, key=lambda blob: blob.name)))


@pytest.mark.parametrize(
    "marker",
    [
        blob("sub", 0, is_folder=True),  # as an account with a hierarchical namespace lists a folder
        blob("sub/", 0),  # as the portal makes one
        blob("sub", 0),  # as older tools make one
        blob("empty", 0, is_folder=True),
    ],
)
def test_h1_16_a_marker_of_a_folder_is_no_file(marker):
    assert files(marker, blob("sub/weights")) == ["sub/weights"]


def test_h1_16_a_file_is_no_marker():
    assert files(blob("empty.txt", 0), blob("sub", 3), blob("sub/weights")) == ["empty.txt", "sub", "sub/weights"]


def test_h1_16_a_folder_is_known_though_other_names_are_listed_before_what_lies_in_it():
    between = [blob("sub-1/x"), blob("sub.txt", 0), blob("sub-2", 0), blob("sub-2.d", 0)]  # all before `sub/`
    assert files(blob("sub", 0), *between, blob("sub/a", 0), blob("sub/a/b")) == [
        "sub-1/x",
        "sub-2",
        "sub-2.d",
        "sub.txt",
        "sub/a/b",
    ]


def test_a_listing_is_told_while_its_pages_come():
    endless = (blob(f"{number:09}", number % 3) for number in itertools.count())
    assert len(list(itertools.islice(fetch.select_files(endless), 10_000))) == 10_000


def test_what_a_download_tool_left_is_not_fetched():
    names = ["cache/x", "model.safetensors", "my.cache"]
    assert files(*map(blob, [".cache/huggingface/x.lock", "a/.cache/y", *names])) == names


def test_a_file_is_known_by_its_content_where_the_service_knows_it_and_else_by_when_it_was_written():
    (hashed,) = fetch.select_files([blob("a", md5=b"\x01\xff")])
    (unknown,) = fetch.select_files([blob("a")])
    assert (hashed.identity, unknown.identity) == ("md5:01ff", 'version:"of a"')
    assert hashed.version == unknown.version == '"of a"'  # as a request has it


def test_weights_that_could_run_code_stay_where_safe_ones_are_to_be_had():
    pickled = ["a.bin", "b.ckpt", "optimizer.pt", "x.pkl", "y.pickle", "z.pth"]
    assert huggingface_fetch.select_files([*pickled, "config.json", "model.safetensors"]) == [
        "config.json",
        "model.safetensors",
    ]
    assert huggingface_fetch.select_files([*pickled, "config.json"]) == sorted([*pickled, "config.json"])
    assert huggingface_fetch.select_files([".cache/x", ".gitattributes"]) == [".gitattributes"]


ITEM = (
    "<Blob><Name{encoded}>{name}</Name><Properties><Etag>0x8D</Etag><Content-Length>{size}</Content-Length>{md5}"
    "<BlobType>BlockBlob</BlobType></Properties>{metadata}</Blob>"
)


def item(name: str, size: int = 1, encoded: str = "", md5: str = "", metadata: str = "") -> str:
    return ITEM.format(name=name, size=size, encoded=encoded, md5=md5, metadata=metadata)


class PretendedClient:
    """What `list_blobs` uses of the SDK's client: pages as XML, and the hook for raw responses."""

    def __init__(self, *pages: str, status: int = 200) -> None:
        self.pages, self.status, self.asked = pages, status, []

    def list_blobs(self, name_starts_with, raw_response_hook, **options):
        def by_page(marker):
            self.asked.append((name_starts_with, marker, options["include"]))
            number = int(marker or 0)
            following = str(number + 1) if number + 1 < len(self.pages) else ""
            body = f"<EnumerationResults><Blobs>{self.pages[number]}</Blobs><NextMarker>{following}</NextMarker>"
            http = SimpleNamespace(status_code=self.status, body=lambda: f"{body}</EnumerationResults>".encode())
            raw_response_hook(SimpleNamespace(http_response=http))
            raise LookupError("the SDK makes an object of every property here, or reports an error")
            yield

        return SimpleNamespace(by_page=by_page)


def test_all_pages_of_a_listing_are_read_without_the_sdks_objects():
    written_by = {"robotrain_run": "train-1", "robotrain_submission": "a%20b"}
    metadata = "".join(f"<{name}>{value}</{name}>" for name, value in written_by.items())
    client = PretendedClient(
        item("set/a&amp;b", 7, md5="<Content-MD5>AQI=</Content-MD5>")
        + item("set/%EF%BF%BE", encoded=' Encoded="true"'),
        item("set/d", 0, metadata="<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>", md5="<Content-MD5/>")
        + item("set/e", metadata=f"<Metadata>{metadata}</Metadata>"),
    )
    first, encoded, folder, written = blob_client.list_blobs(client, "set/")
    assert (first.name, first.size, first.etag, first.md5) == ("a&b", 7, "0x8D", b"\x01\x02")
    assert encoded.name == "\ufffe"
    assert (folder.is_folder, folder.md5, first.is_folder) == (True, b"", False)
    assert (written.author.run, written.author.submission) == ("train-1", "a b")
    assert client.asked == [("set/", None, ["metadata"]), ("set/", "1", ["metadata"])]


def test_an_error_of_a_listing_is_the_sdks():
    with pytest.raises(LookupError):
        list(blob_client.list_blobs(PretendedClient("", status=403), "set/"))
