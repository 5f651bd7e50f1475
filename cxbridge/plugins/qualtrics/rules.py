"""The tables of a connection: what each survey measures, which embedded data means what, how invitations go out; no I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from cxbridge.core import connector as cx

Metric = Literal["nps", "csat", "ces"]
Direction = Literal["up", "down"]
Programme = Literal["relational", "transactional", "lifecycle", "other"]

QUESTION: Final = re.compile(r"QID\d+(?:#\d+)?(?:_\d+)*")
QuestionId = Annotated[str, StringConstraints(pattern=r"^QID\d+(#\d+)?(_\d+)*$")]
SurveyId = Annotated[str, StringConstraints(pattern=r"^SV_[A-Za-z0-9]+$")]

# How likely somebody would recommend us is asked from 0 to 10, or it is not NPS.
NPS_SCALE: Final = (0.0, 10.0)
# The name under which a write's marker is planted in embedded data.
MARKER: Final = "cxb_marker"
MOST_EMBEDDED: Final = 10
LONGEST_NAME: Final = 200
LONGEST_VALUE: Final = 1000


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SurveyRule(_Table):
    """What one survey measures; whatever is left out is recognised by its definition."""

    metric: Metric | None = cx.Field(default=None, description="nps, csat or ces.")
    question: QuestionId | None = cx.Field(
        default=None, description="The scored question, with its row where it has rows."
    )
    scale: tuple[float, float] | None = cx.Field(
        default=None, description="The lowest and the highest code of that question."
    )
    direction: Direction | None = cx.Field(
        default=None, description="up: the highest code is the best one; down: the lowest."
    )
    verbatim: QuestionId | None = cx.Field(
        default=None, description="The text question that holds the customer's own words."
    )
    contact_ok: str | None = cx.Field(
        default=None, description="The question, or the embedded data, that says whether we may get in touch."
    )
    programme: Programme = cx.Field(
        default="other", description="Whether it is asked regularly or after something happened."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.question is not None and self.metric is None:
            raise ValueError("a scored question needs its metric: nps, csat or ces")
        if self.scale is not None and not self.scale[0] < self.scale[1]:
            raise ValueError("a scale is [lowest, highest], as [1, 5]; say which end is good with direction")
        if self.metric == "nps" and self.scale not in (None, NPS_SCALE):
            raise ValueError("NPS is asked from 0 to 10: with another scale it is csat")
        if self.metric == "nps" and self.direction == "down":
            raise ValueError("NPS rises with the score: leave direction out")
        return self


class InviteRule(_Table):
    """How an invitation goes out; the message is one of a library, since Qualtrics writes the mail."""

    library: Annotated[str, StringConstraints(pattern=r"^[UG]R_\w+$")] = cx.Field(
        description="The library with the message."
    )
    message: Annotated[str, StringConstraints(pattern=r"^MS_\w+$")] = cx.Field(
        description="The message of that library."
    )
    from_email: str = cx.Field(description="The address that the mail comes from; it must be allowed in Qualtrics.")
    from_name: str = cx.Field(description="The name that the mail comes from.")
    reply_to: str | None = cx.Field(
        default=None, description="Where answers to the mail go; from_email where left out."
    )
    subject: str = cx.Field(description="The subject of the mail.")
    mailing_list: Annotated[str, StringConstraints(pattern=r"^CG_\w+$")] | None = cx.Field(
        default=None,
        description="The mailing list through which a single contact is reached, where the brand wants one.",
    )
    expires_days: int = cx.Field(default=30, ge=1, le=365, description="Days until the link in the mail ends.")
    surveys: tuple[SurveyId, ...] = cx.Field(
        default=(), description="The only surveys that may be sent out; all of them where it is empty."
    )


@dataclass(frozen=True, slots=True)
class Fields:
    """The names of embedded data that have a meaning; Qualtrics keeps them in any case, so they are compared without."""

    account: str = "accountId"
    account_name: str = "accountName"
    ticket: str = "ticketId"
    consent: str = "contactOk"
    email: str = "email"


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that mapping and writing need to know of a connection."""

    surveys: Mapping[str, SurveyRule]
    fields: Fields
    statuses: Mapping[int, cx.StatusCategory]
    priorities: Mapping[int, cx.Priority]
    directory: str | None = None
    invite: InviteRule | None = None

    def of(self, survey: str) -> SurveyRule:
        """Give what is configured about a survey."""
        return self.surveys.get(survey, _NOTHING)


_NOTHING: Final = SurveyRule()
