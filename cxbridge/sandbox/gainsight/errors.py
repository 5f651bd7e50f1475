"""Gainsight's envelope and its refusals. Decides nothing; whoever finds the fault raises it."""

from collections.abc import Sequence
from typing import Any


class ApiError(Exception):
    """A request that ends in a refusal. State must be untouched when it is raised."""

    def __init__(self, status: int, code: str | None, text: str, **more: Any) -> None:
        super().__init__(f"{status} {code} {text}")
        self.status = status
        self.code = code
        self.text = text
        self.more = more

    def body(self, request_id: str) -> dict[str, Any]:
        """The envelope of the refusal."""
        return {
            "result": False,
            "errorCode": self.code,
            "errorDesc": self.text,
            "requestId": request_id,
            "message": self.more.get("message"),
            **{name: value for name, value in self.more.items() if name != "message"},
        }


def success(data: Any, request_id: str) -> dict[str, Any]:
    """The envelope of an answer."""
    return {
        "result": True,
        "errorCode": None,
        "errorDesc": None,
        "requestId": request_id,
        "data": data,
        "message": None,
    }


def unauthorized() -> ApiError:
    return ApiError(401, "GS_APIG_2401", "Unauthorized", message="Unauthorized")


def address_not_allowed() -> ApiError:
    # The status is unverified.
    return ApiError(403, "GS_APIG_2402", "The IP address is not allowed", message="Forbidden")


def no_such_path() -> ApiError:
    return ApiError(400, "GSOBJ_1023", "Invalid API path.", data=None)


def no_such_object(name: str) -> ApiError:
    return ApiError(400, None, f"Object {name} is not found.", title="OBJECT_NOT_FOUND", data=None)


def no_data() -> ApiError:
    return ApiError(400, "GSOBJ_1011", "No data found for given criteria", data={"count": 0, "records": None})


def invalid_field(name: str) -> ApiError:
    return ApiError(400, "GSOBJ_1002", f"Invalid field: {name}", data=None)


def bad_request(text: str) -> ApiError:
    return ApiError(400, "GSOBJ_1002", text, data=None)


def bad_id() -> ApiError:
    return ApiError(400, "GSOBJ_1004", "The GSID in the path is invalid or missing.", data=None)


def throttled() -> ApiError:
    return ApiError(429, "GU_2400", "Too many request", data=None)


def cockpit(status: int, code: str, text: str) -> ApiError:
    return ApiError(status, code, text, data={})


def person(code: str, text: str) -> ApiError:
    return ApiError(400, code, text, data=None)


def invalid_records(problems: Sequence[Sequence["FieldProblem"]]) -> ApiError:
    """A batch in which something is wrong: all of it is refused, with a list per record of lists per field."""
    first = next(problem for record in problems for problem in record)
    errors = [
        [
            {
                "success": False,
                "parsedValue": problem.value,
                "errors": [
                    {
                        "errorMessage": problem.text,
                        "errorCode": problem.code,
                        "fieldName": problem.field,
                        "invalidValue": [problem.value],
                    }
                ],
            }
            for problem in record
        ]
        for record in problems
        if record
    ]
    # The description holds the value that was sent: customers' data in an error.
    text = f"{first.text} ({first.field} = {first.value})."
    return ApiError(400, first.code, text, data={"count": 0, "records": None, "errors": errors})


class FieldProblem:
    """What is wrong with one value of one record."""

    def __init__(self, field: str, value: Any, code: str, text: str) -> None:
        self.field = field
        self.value = value
        self.code = code
        self.text = text
