"""One request to the Web API: what it asks with, and the ways to refuse it. Knows no method.

`docs.slack.dev/apis/web-api/#posting_json`: arguments come in the query, as a form, or, for methods that write, as JSON.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

# In a form these are texts that hold JSON.
_NESTED = ("blocks", "attachments", "metadata", "view")
# What the vendor says where such a text is no JSON.
_NESTED_ERRORS = {
    "blocks": "invalid_blocks_format",
    "metadata": "invalid_metadata_format",
    "view": "invalid_arguments",
    "attachments": "invalid_arguments",
}


class ApiError(Exception):
    """A refusal: `ok` false with a word, and status 200 unless it is a limit."""

    def __init__(
        self, error: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(error)
        self.status = status
        self.headers = dict(headers or {})
        self.body = {"ok": False, "error": error, **extra}


def invalid(error: str, *messages: str) -> ApiError:
    """A refusal that names places in the arguments."""
    return ApiError(error, response_metadata={"messages": [f"[ERROR] {one}" for one in messages]})


class Call:
    """The arguments of one request; `warnings` go out with its answer."""

    def __init__(self, method: str, arguments: Mapping[str, Any], token: str | None, warnings: list[str]) -> None:
        self.method = method
        self.token = token
        self.warnings = warnings
        self._arguments = arguments

    def __contains__(self, name: str) -> bool:
        return self._arguments.get(name) not in (None, "")

    def raw(self, name: str) -> Any:
        return self._arguments.get(name)

    def text(self, name: str, default: str = "") -> str:
        value = self._arguments.get(name)
        if isinstance(value, bool | int | float):
            return str(value).lower() if isinstance(value, bool) else str(value)
        if value is None:
            return default
        if not isinstance(value, str):
            raise invalid("invalid_arguments", f"must be a string [json-pointer:/{name}]")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name)
        return default if not value else value in ("1", "true")

    def number(self, name: str, default: int) -> int:
        value = self.text(name)
        if not value:
            return default
        if not value.isdigit():
            raise ApiError("invalid_arguments" if name != "limit" else "invalid_limit")
        return int(value)


def read(request: Request, method: str, body: bytes, *, reads: bool) -> Call:
    """Collect the arguments of a request.

    Raises:
        ApiError: the body is not what its content type says.
    """
    arguments: dict[str, Any] = dict(request.query_params)
    warnings: list[str] = []
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    if request.method == "POST" and body:
        match kind.strip().lower():
            case "application/x-www-form-urlencoded":
                arguments |= _form(body)
            case "application/json" if reads:
                pass  # methods that only read do not look into it
            case "application/json":
                arguments |= _json(body)
                if "charset" not in rest.lower():
                    warnings.append("missing_charset")
            case "multipart/form-data":
                raise ApiError("invalid_form_data")
            case _:
                raise ApiError("invalid_post_type")
    return Call(method, arguments, _token(request, arguments), warnings)


def _token(request: Request, arguments: Mapping[str, Any]) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token
    held = arguments.get("token")
    return held if isinstance(held, str) and held else None


def _form(body: bytes) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = dict(parse_qsl(body.decode(), keep_blank_values=True))
    except (UnicodeDecodeError, ValueError):
        raise ApiError("invalid_form_data") from None
    for name in _NESTED:
        if fields.get(name):
            try:
                fields[name] = msgspec.json.decode(fields[name])
            except (msgspec.DecodeError, RecursionError):
                raise ApiError(_NESTED_ERRORS[name]) from None
    return fields


def _json(body: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ApiError("invalid_json") from None
    if not isinstance(decoded, dict):
        raise ApiError("json_not_object")
    # JSON may hold these as they are, or as text like a form.
    for name in _NESTED:
        if isinstance(decoded.get(name), str) and decoded[name]:
            try:
                decoded[name] = msgspec.json.decode(decoded[name])
            except (msgspec.DecodeError, RecursionError):
                raise ApiError(_NESTED_ERRORS[name]) from None
    return decoded
