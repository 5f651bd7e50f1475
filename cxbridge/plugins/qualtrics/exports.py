"""Fetches the responses recorded in a span of time: starts an export, waits for its file, opens it; maps nothing, keeps nothing.

Only `status` says how far an export is; a failed one stays at whatever per cent it reached. The file is named by `fileId`, which is
another id than the export's own. It comes zipped, under the survey's title: it is read in memory, whatever that title is.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import wire
from cxbridge.plugins.qualtrics.listing import result
from cxbridge.plugins.qualtrics.values import stamp

# Text compresses 10 to 30 times; a file that unpacks to more than this is no export that fits in memory.
MOST_UNPACKED: Final = 1024 * 1024 * 1024
# Seconds until an export that took too long for one call is looked at again.
AGAIN: Final = 10
_PIECE: Final = 1024 * 1024
_ZIP: Final = b"PK\x03\x04"
_EMPTY_ZIP: Final = b"PK\x05\x06"
_JSON: Final = b'{"responses"'


class Job(msgspec.Struct, frozen=True, omit_defaults=True):
    """An export that was started; `start` None is "from the beginning". Times are epoch milliseconds."""

    progress: str
    end: int
    asked: int
    start: int | None = None


class Failed(cx.Retryable):
    """Qualtrics gave the export up; a narrower span may work."""

    summary = "came to nothing"


class Unfinished(cx.Retryable):
    """The export is still being made."""

    summary = "is not ready yet"


def reads(method: str, path: str) -> bool:
    """Name the requests that only read although they are posts: an export changes nothing, nor does a search."""
    return method == "POST" and path.endswith(("/export-responses", "/contacts/search"))


def start(client: cx.Client, survey: str, since: datetime | None, until: datetime) -> str:
    """Ask for an export of what was recorded from `since` on and before `until`; gives its progress id."""
    body = {"format": "ndjson", "compress": True, "endDate": stamp(until)}
    if since is not None:
        body["startDate"] = stamp(since)
    told = result(client.post(path(survey), body), wire.Progress)
    if not told.progress_id:
        raise cx.WireFormat("an export was started and has no progressId", operation=f"POST {path(survey)}")
    return told.progress_id


def fetch(client: cx.Client, survey: str, progress: str) -> bytes:
    """Wait for an export and give its file, unpacked.

    Raises:
        Failed: when Qualtrics gave it up. Unfinished: when it takes longer than one call may wait.
    """
    where = f"{path(survey)}/{progress}"
    try:
        reply = client.get_until(lambda reply: _over(result(reply, wire.Progress)), where)
    except cx.NotFound:
        raise Failed("Qualtrics does not know the export any more", operation=f"GET {where}", sent=False) from None
    told = result(reply, wire.Progress)
    if not _over(told):
        later = client.now + timedelta(seconds=AGAIN)
        raise Unfinished("the next pull looks again", operation=f"GET {where}", retry_at=later, sent=False)
    if told.status == "failed" or not told.file_id:
        raise Failed("Qualtrics could not make the file", operation=f"GET {where}", sent=False)
    file = f"{path(survey)}/{told.file_id}/file"
    try:
        return unpacked(client.get(file, headers={"accept": "*/*"}).body)
    except cx.NotFound:
        raise Failed("the export's file is gone", operation=f"GET {file}", sent=False) from None


def unpacked(body: bytes, most: int = MOST_UNPACKED) -> bytes:
    """Give the text of an export file, zipped or not.

    Raises:
        WireFormat: when the archive is broken, holds nothing, or unpacks to more than `most` bytes.
    """
    if body.startswith(_EMPTY_ZIP):
        return b""
    if not body.startswith(_ZIP):
        return body
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            first = next((one for one in archive.infolist() if not one.is_dir()), None)
            if first is None:
                return b""
            parts, size = [], 0
            with archive.open(first) as text:
                # What the archive says about its sizes may be wrong.
                while piece := text.read(_PIECE):
                    size += len(piece)
                    if size > most:
                        raise cx.WireFormat(f"the export unpacks to more than {most // _PIECE} MiB")
                    parts.append(piece)
            return b"".join(parts)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError):
        raise cx.WireFormat("the export's archive cannot be opened") from None


def records(text: bytes) -> Iterator[msgspec.Raw]:
    """Give the responses of a file: one line each, or all of them in one object. Empty lines and `{}` mean nothing."""
    head = text[:64].lstrip(b"\xef\xbb\xbf \r\n\t")
    if head.replace(b" ", b"").startswith(_JSON):
        try:
            yield from msgspec.json.decode(text.lstrip(b"\xef\xbb\xbf"), type=_File).responses
        except msgspec.MsgspecError:
            raise cx.WireFormat("the export is no list of responses") from None
        return
    if head.startswith(b"<"):
        raise cx.WireFormat("answered a web page where an export was expected")
    for line in text.lstrip(b"\xef\xbb\xbf").splitlines():
        if line.strip() not in (b"", b"{}"):
            yield msgspec.Raw(line)


def path(survey: str) -> str:
    """Give the address of a survey's exports."""
    return f"/surveys/{survey}/export-responses"


class _File(msgspec.Struct, frozen=True):
    responses: list[msgspec.Raw] = []


def _over(told: wire.Progress) -> bool:
    return told.status in ("complete", "failed")
