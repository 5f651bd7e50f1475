"""Zendesk's error answers in their four envelopes. Decides nothing; whoever finds the fault raises it."""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """A request that ends in an error answer. State must be untouched when it is raised."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def unauthenticated() -> ApiError:
    return ApiError(401, {"error": "Couldn't authenticate you"})


def invalid_token() -> ApiError:
    text = "The access token provided is expired, revoked, malformed or invalid for other reasons."
    return ApiError(401, {"error": "invalid_token", "error_description": text})


def missing_scope(scope: str) -> ApiError:
    return ApiError(403, {"error": "Forbidden", "description": f"Missing the following required scopes: {scope}"})


def forbidden() -> ApiError:
    text = "You do not have access to this page. Please contact the account owner of this help desk for further help."
    return ApiError(403, {"error": {"title": "Forbidden", "message": text}})


def not_found() -> ApiError:
    return ApiError(404, {"error": "RecordNotFound", "description": "Not found"})


def no_endpoint() -> ApiError:
    return ApiError(404, {"error": "InvalidEndpoint", "description": "Not found"})


def invalid_attribute(message: str) -> ApiError:
    return ApiError(400, {"error": {"title": "Invalid attribute", "message": message}})


def invalid_json() -> ApiError:
    # Shape unverified.
    return ApiError(400, {"error": "Unprocessable", "description": "Server could not parse JSON"})


def unsupported_media_type() -> ApiError:
    # A live report gives the status for Help Center paths without `.json`; the body is unverified.
    return ApiError(415, {"error": "UnsupportedMediaType", "description": "Unsupported media type"})


def record_invalid(**details: str | tuple[str, str]) -> ApiError:
    """Each keyword is a field with its message, or with (message, code)."""
    rows = {}
    for name, problem in details.items():
        message, code = problem if isinstance(problem, tuple) else (problem, "InvalidValue")
        rows[name] = [{"description": message, "error": code}]
    return ApiError(422, {"error": "RecordInvalid", "description": "Record validation errors", "details": rows})


def pagination(code: str, title: str, detail: str) -> ApiError:
    return ApiError(400, {"errors": [{"code": code, "title": title, "detail": detail}]})


def update_conflict() -> ApiError:
    text = "Safe Update prevented the update due to outdated ticket data. Please fetch the latest ticket data."
    return ApiError(409, {"error": "UpdateConflict", "description": text})


def too_many_values(limit: int) -> ApiError:
    return ApiError(
        400, {"error": "TooManyValues", "description": f"Too many values: at most {limit}", "max_count": limit}
    )


def idempotency_mismatch() -> ApiError:
    text = "Request parameters do not match the given idempotency key"
    return ApiError(400, {"error": "IdempotentRequestError", "description": text})


def start_time_too_recent() -> ApiError:
    text = "Too recent start_time. Use a start_time older than 60 seconds"
    return ApiError(400, {"error": "StartTimeTooRecent", "description": text})


def rate_limited(seconds: int, headers: Mapping[str, str]) -> ApiError:
    text = "Number of allowed API requests per minute exceeded"
    return ApiError(
        429, {"error": "APIRateLimitExceeded", "description": text}, {**headers, "retry-after": str(seconds)}
    )


def search_too_deep() -> ApiError:
    text = "Invalid search: Requested response size was greater than Search Response Limits"
    return ApiError(422, {"error": "invalid", "description": text})


def oauth(code: str, text: str, status: int = 400) -> ApiError:
    return ApiError(status, {"error": code, "error_description": text})
