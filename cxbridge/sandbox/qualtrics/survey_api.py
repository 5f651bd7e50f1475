"""Surveys, their definitions and their responses over HTTP."""

from typing import Any

from cxbridge.sandbox.qualtrics import render
from cxbridge.sandbox.qualtrics.exports import readable
from cxbridge.sandbox.qualtrics.state import BrandState
from cxbridge.sandbox.qualtrics.wire import Call, RefusedError, Reply, page

Json = Any


def whoami(state: BrandState, call: Call) -> Reply:
    del call
    return Reply({"userId": state.user_id, "userName": state.options.user, "brandId": state.options.brand})


def surveys(state: BrandState, call: Call) -> Reply:
    rows = [render.survey_row(one) for one in state.surveys.values()]
    options = state.options
    return page(call, rows, size=options.survey_page, link="offset", empty=options.empty_pages, host=options.proxied)


def survey(state: BrandState, call: Call) -> Reply:
    found = readable(state, call.params["survey"])
    held = [state.responses[key] for key in state.by_survey.get(found.id, ())]
    counts = {"auditable": len(held), "generated": sum(one.status in (1, 2) for one in held), "deleted": 0}
    return Reply(render.survey_compact(found, state.options.brand, counts))


def definition(state: BrandState, call: Call) -> Reply:
    return Reply(render.definition(readable(state, call.params["survey"]), state.options.brand))


def questions(state: BrandState, call: Call) -> Reply:
    found = readable(state, call.params["survey"])
    return Reply({"elements": [render.question(one) for one in found.questions.values()], "nextPage": None})


def update_response(state: BrandState, call: Call) -> Reply:
    body = call.object()
    found = state.responses.get(call.params["response"])
    if found is None or found.survey != body.get("surveyId"):
        raise RefusedError(404, "Unable to find response.", "RGR_3")
    embedded = body.get("embeddedData")
    if not isinstance(embedded, dict) or not all(isinstance(value, str) for value in embedded.values()):
        raise RefusedError(400, "embeddedData must be an object of strings.", "RUR_1")
    if any(len(name) > 200 or len(value) > 1024 for name, value in embedded.items()):
        raise RefusedError(400, "A value of embeddedData is too long.", "RUR_2")
    state.set_embedded(found, embedded, reset=body.get("resetRecordedDate", True) is not False, via="api")
    return Reply()


def delete_response(state: BrandState, call: Call) -> Reply:
    found = state.responses.get(call.params["response"])
    if found is None or found.survey != call.params["survey"]:
        raise RefusedError(404, "Unable to find response.", "RGR_3")
    state.delete_response(found, "api")
    return Reply()
