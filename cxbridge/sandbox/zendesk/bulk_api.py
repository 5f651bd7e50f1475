"""The endpoints that start background jobs over many records, and the jobs' status.

A job is done when it is started, but is reported as queued, then working, then completed, one step per look, because a
client must not take the first answer for the result.
"""

from collections.abc import Callable, Sequence

from cxbridge.sandbox.zendesk import people, tickets
from cxbridge.sandbox.zendesk.call import Call, Reply, Route, missing_parameter
from cxbridge.sandbox.zendesk.errors import ApiError, forbidden, not_found, too_many_values
from cxbridge.sandbox.zendesk.state import Json

_LIMIT = 100
_JOBS_AT_ONCE = 30


def _start(call: Call, rows: Sequence[Json], work: Callable[[int, Json], Json]) -> Reply:
    """Do a job's rows one by one; a row that fails does not stop the others."""
    if len(rows) > _LIMIT:
        raise too_many_values(_LIMIT)
    busy = sum(job["status"] != "completed" for job in call.state.jobs.values())
    if busy >= _JOBS_AT_ONCE:
        # The code of this refusal is unverified.
        raise ApiError(429, {"error": "TooManyJobs", "description": "Too many background jobs"}, {"retry-after": "30"})
    results: list[Json] = []
    for index, row in enumerate(rows):
        try:
            results.append(work(index, row))
        except ApiError as error:
            problem = error.body if isinstance(error.body, dict) else {}
            results.append(
                {
                    "index": index,
                    **({"id": row["id"]} if "id" in row else {}),
                    "error": problem.get("error", "Unknown"),
                    "details": problem.get("details") or problem.get("description"),
                    "success": False,
                }
            )
    ident = f"V3-{len(call.state.jobs) + 1:016x}"
    call.state.jobs[ident] = {
        "id": ident,
        "url": call.state.url(f"/job_statuses/{id}.json"),
        "total": len(rows),
        "progress": None,
        "status": "queued",
        "message": None,
        "results": results,
    }
    return Reply(content={"job_status": _shown(call.state.jobs[ident])})


def _shown(job: Json) -> Json:
    return job if job["status"] == "completed" else {**job, "results": None}


def _status(call: Call) -> Reply:
    job = call.state.jobs.get(call.params["id"])
    if job is None:
        raise not_found()
    _step(job)
    return Reply(content={"job_status": _shown(job)})


def _statuses(call: Call) -> Reply:
    jobs = [call.state.jobs[ident] for ident in (call.query.get("ids") or "").split(",") if ident in call.state.jobs]
    for job in jobs:
        _step(job)
    return Reply(content={"job_statuses": [_shown(job) for job in jobs]})


def _step(job: Json) -> None:
    if job["status"] == "queued":
        job |= {"status": "working", "progress": job["total"] // 2}
    elif job["status"] == "working":
        job |= {"status": "completed", "progress": job["total"], "message": f"Completed at {job['id']}"}


def _create_tickets(call: Call) -> Reply:
    def work(index: int, row: Json) -> Json:
        ticket, _ = tickets.create(call.state, call.actor, row, via="api")
        return {"index": index, "id": ticket.id}

    return _start(call, call.rows("tickets"), work)


def _update_tickets(call: Call) -> Reply:
    body = call.json()
    if call.query.get("ids"):
        change = call.part("ticket")
        rows = [{**change, "id": ident} for ident in call.ids()]
    elif "tickets" in body:
        rows = call.rows("tickets")
    else:
        raise missing_parameter("tickets")

    def work(index: int, row: Json) -> Json:
        del index
        ticket = tickets.find(call.state, int(row["id"]))
        tickets.update(call.state, call.actor, ticket, row, via="api", bulk=True)
        return {"id": ticket.id, "action": "update", "status": "Updated", "success": True}

    return _start(call, rows, work)


def _destroy_tickets(call: Call) -> Reply:
    def work(index: int, row: Json) -> Json:
        tickets.delete(call.state, call.actor, tickets.find(call.state, row["id"]), via="api")
        return {"index": index, "id": row["id"], "success": True}

    return _start(call, [{"id": ident} for ident in call.ids()], work)


def _upsert_users(call: Call) -> Reply:
    if not call.state.options.bulk_users:
        raise forbidden()

    def work(index: int, row: Json) -> Json:
        user, new = people.create_or_update_user(call.state, call.actor, row, via="api")
        return {"index": index, "id": user.id, "status": "Created" if new else "Updated", "success": True}

    return _start(call, call.rows("users"), work)


ROUTES = (
    Route("POST", "/tickets/create_many", _create_tickets),
    Route("PUT", "/tickets/update_many", _update_tickets),
    Route("DELETE", "/tickets/destroy_many", _destroy_tickets),
    Route("POST", "/users/create_or_update_many", _upsert_users),
    Route("GET", "/job_statuses/show_many", _statuses),
    Route("GET", "/job_statuses/{id}", _status),
)
