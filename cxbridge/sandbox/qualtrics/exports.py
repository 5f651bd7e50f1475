"""Exports of responses: jobs that take time, may fail, and end in a file. What a file holds is settled when its job begins."""

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from cxbridge.sandbox.qualtrics import render
from cxbridge.sandbox.qualtrics.records import Export, Response, Survey
from cxbridge.sandbox.qualtrics.state import BrandState
from cxbridge.sandbox.qualtrics.wire import Call, RefusedError, Reply, moment

Json = Any
FORMATS = ("json", "ndjson", "csv", "tsv")
# Options that belong to tables only; JSON carries labels beside the values.
_OF_TABLES = ("useLabels", "includeLabelColumns", "breakoutSets", "newlineReplacement", "formatDecimalAsComma")


def start(state: BrandState, call: Call) -> Reply:
    survey = readable(state, call.params["survey"])
    body = call.object()
    if body.get("format") not in FORMATS:
        raise RefusedError(400, f"Invalid format: {body.get('format')}.", "RP_1")
    if body["format"] in ("json", "ndjson") and any(name in body for name in _OF_TABLES):
        raise RefusedError(400, "An option is not supported with the JSON format.", "RP_2")
    if "continuationToken" in body or body.get("allowContinuation"):
        raise RefusedError(400, "Continuation is not simulated.", "RP_3")
    job = Export(
        id=state.new_id("ES"),
        file=str(state.request_id() or state.new_id("FILE")),
        survey=survey.id,
        body=body,
        begun=state.world.clock.time(),
        responses=[one.id for one in _chosen(state, survey, body)],
        failed=state.failing_exports > 0,
    )
    state.failing_exports = max(0, state.failing_exports - 1)
    state.exports[job.id] = job
    return Reply({"progressId": job.id, "percentComplete": 0.0, "status": "inProgress"})


def look(state: BrandState, call: Call) -> Reply:
    job = state.exports.get(call.params["progress"])
    if job is None or job.survey != call.params["survey"]:
        raise RefusedError(404, "The requested export does not exist.", "RP_4")
    job.polls += 1
    passed = state.world.clock.time() - job.begun
    if not _over(state, job, passed):
        share = min(99.0, 100.0 * passed / state.options.export_seconds) if state.options.export_seconds else 50.0
        return Reply({"fileId": None, "percentComplete": round(share, 1), "status": "inProgress"})
    if job.failed:
        # As real jobs do: it never reaches a hundred, and has no file.
        error = {"errorMessage": "The export could not be made.", "errorCode": "RP_5"}
        return Reply({"fileId": None, "percentComplete": 37.5, "status": "failed", "error": error})
    return Reply({"fileId": job.file, "percentComplete": 100.0, "status": "complete"})


def download(state: BrandState, call: Call) -> Reply:
    job = next((one for one in state.exports.values() if one.file == call.params["file"]), None)
    done = job is not None and not job.failed and _over(state, job, state.world.clock.time() - job.begun)
    if job is None or not done or job.survey != call.params["survey"]:
        raise RefusedError(404, "The requested file does not exist.", "RP_6")
    survey = state.survey(job.survey)
    rows = [render.response(state.responses[key], survey) for key in job.responses if key in state.responses]
    kind = str(job.body["format"])
    text = _WRITERS[kind](rows, survey, state.options.blank_lines)
    if job.body.get("compress", True) is False:
        return Reply(file=text, media_type="application/octet-stream")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        # Under the survey's title, whatever letters that holds.
        archive.writestr(f"{survey.name.replace('/', '_')}.{kind}", text)
    return Reply(file=packed.getvalue(), media_type="application/zip")


def single(state: BrandState, call: Call) -> Reply:
    survey = readable(state, call.params["survey"])
    found = state.responses.get(call.params["response"])
    hidden = found is not None and call.now < found.made + timedelta(seconds=state.options.response_lag)
    if found is None or hidden or found.survey != survey.id:
        raise RefusedError(404, "Unable to find response.", "RGR_3")
    return Reply(render.response(found, survey))


def readable(state: BrandState, survey: str) -> Survey:
    """A survey that the caller may read; one that is not there is forbidden, as is one of somebody else."""
    if survey not in state.surveys:
        raise RefusedError(403, "The survey is not accessible.", "QMST_2.1")
    return state.surveys[survey]


def _over(state: BrandState, job: Export, passed: float) -> bool:
    return passed >= state.options.export_seconds and job.polls > state.options.export_polls


def _chosen(state: BrandState, survey: Survey, body: dict[str, Json]) -> list[Response]:
    now = state.now()
    try:
        since = moment(body["startDate"], now) if body.get("startDate") else None
        until = moment(body["endDate"], now) if body.get("endDate") else None
    except ValueError:
        raise RefusedError(400, "Invalid date.", "RP_7") from None
    shown = now - timedelta(seconds=state.options.export_lag)
    found = [
        one
        for one in map(state.responses.__getitem__, state.by_survey.get(survey.id, ()))
        if one.made <= shown and (since is None or one.recorded >= since) and (until is None or one.recorded < until)
    ]
    if body.get("exportResponsesInProgress"):
        found = []
    found.sort(key=lambda one: (one.recorded, one.id))
    limit = body.get("limit")
    return found[: int(limit)] if limit else found


def _ndjson(rows: list[Json], survey: Survey, blanks: bool) -> bytes:
    del survey
    lines = [msgspec.json.encode(row) for row in rows]
    if blanks:
        lines = [b"{}", *lines, b"", b"{}"]
    return b"\n".join(lines) + b"\n"


def _json(rows: list[Json], survey: Survey, blanks: bool) -> bytes:
    del survey, blanks
    return msgspec.json.encode({"responses": rows})


def _table(rows: list[Json], survey: Survey, separator: str) -> bytes:
    """A table as Qualtrics writes it: names, texts, import ids, then one row per response."""
    meta = (
        "startDate",
        "endDate",
        "status",
        "ipAddress",
        "progress",
        "duration",
        "finished",
        "recordedDate",
        "_recordId",
    )
    asked = list(survey.questions.values())
    columns = [*meta, *(one.key for one in asked), *survey.embedded]
    names = [name[:1].upper() + name[1:] for name in meta] + [one.tag for one in asked] + list(survey.embedded)
    texts = [*meta, *(one.text for one in asked), *survey.embedded]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(names)
    writer.writerow(texts)
    writer.writerow([msgspec.json.encode({"ImportId": one}).decode() for one in columns])
    for row in rows:
        writer.writerow([row["values"].get(one, "") for one in columns])
    return out.getvalue().encode()


_WRITERS: dict[str, Callable[[list[Json], Survey, bool], bytes]] = {
    "ndjson": _ndjson,
    "json": _json,
    "csv": lambda rows, survey, blanks: _table(rows, survey, ","),
    "tsv": lambda rows, survey, blanks: _table(rows, survey, "\t"),
}
