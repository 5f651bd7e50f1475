"""The events that a brand posts: flat forms, or signed ones over their message. Sends nothing."""

import hashlib
import hmac
from urllib.parse import urlencode

import msgspec

from cxbridge.sandbox.qualtrics.records import Response

_FORM = {"content-type": "application/x-www-form-urlencoded"}


def topic(response: Response) -> str:
    """What an event about a response is filed under, without the brand."""
    kind = "completedResponse" if response.finished else "partialResponse"
    return f"surveyengine.{kind}.{response.survey}"


def matches(topics: str, topic_: str) -> bool:
    """Whether a subscription wants a topic; `*` stands for all, at the end for all below."""
    return any(
        one in ("*", topic_) or (one.endswith(".*") and topic_.startswith(one[:-1]))
        for one in (part.strip() for part in topics.split(","))
    )


def delivery(brand: str, topic_: str, response: Response, key: str | None) -> tuple[dict[str, str], bytes]:
    """The headers and body of an event's post."""
    told = {
        "Status": "Complete" if response.finished else "Partial",
        "SurveyID": response.survey,
        "ResponseID": response.id,
        # Without a zone, as on the wire.
        "CompletedDate": response.ended.strftime("%Y-%m-%d %H:%M:%S"),
        "BrandID": brand,
    }
    full = f"{brand}.{topic_}"
    if key is None:
        return dict(_FORM), urlencode({"Topic": full, **told}).encode()
    message = msgspec.json.encode(told).decode()
    return dict(_FORM), urlencode({"Topic": full, "HMAC": signature(key, message), "MSG": message}).encode()


def signature(key: str, message: str) -> str:
    """HMAC-SHA512 over the decoded message, in hex."""
    return hmac.digest(key.encode(), message.encode(), hashlib.sha512).hex()
