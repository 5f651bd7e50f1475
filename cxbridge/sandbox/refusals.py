"""How each vendor words a refusal that a fault gives in its place. Knows statuses and words; decides nothing."""

from typing import Any

_WORDS = {
    401: "Couldn't authenticate you",
    403: "You do not have access to this",
    429: "Number of allowed API requests per minute exceeded",
    503: "Service temporarily unavailable",
}


def refusal(vendor: str, code: int) -> dict[str, Any]:
    """The body that goes with a status."""
    text = _WORDS.get(code, f"The sandbox was told to answer {code}")
    match vendor:
        case "jira":
            return {"errorMessages": [text], "errors": {}}
        case "qualtrics":
            return _qualtrics(code, text, f"SANDBOX_{code}")
        case "gainsight":
            return _gainsight({401: "GS_APIG_2401", 429: "GU_2400"}.get(code), text)
        case "slack":
            word = {401: "invalid_auth", 403: "access_denied", 429: "ratelimited", 503: "service_unavailable"}
            return {"ok": False, "error": word.get(code, "internal_error")}
        case _ if code == 401:
            return {"error": text}
        case _:
            return {"error": {429: "APIRateLimitExceeded"}.get(code, "SandboxFault"), "description": text}


def scope_removed(vendor: str, scope: str) -> tuple[int, dict[str, Any]]:
    """Status and body of a vendor where a credential that worked lost a scope, or whatever that vendor has instead."""
    match vendor:
        case "jira":
            return 401, {"code": 401, "message": "Unauthorized; scope does not match"}
        case "qualtrics":
            return 403, _qualtrics(403, f"The token lacks the scope {scope or 'read:surveys'}.", "OAUTH_3")
        case "gainsight":
            # Access keys have no scopes; a connection loses its reach when its addresses are changed.
            return 403, _gainsight("GS_APIG_2402", "The IP address is not allowed")
        case "slack":
            return 200, {
                "ok": False,
                "error": "missing_scope",
                "needed": scope or "channels:history",
                "provided": "chat:write",
            }
        case _:
            text = f"Missing the following required scopes: {scope or 'read'}"
            return 403, {"error": "Forbidden", "description": text}


def _qualtrics(status: int, text: str, code: str) -> dict[str, Any]:
    error = {"errorMessage": text, "errorCode": code}
    return {"meta": {"httpStatus": f"{status} - Sandbox", "requestId": None, "error": error}}


def _gainsight(code: str | None, text: str) -> dict[str, Any]:
    return {"result": False, "errorCode": code, "errorDesc": text, "requestId": None, "message": None}
