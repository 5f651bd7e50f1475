"""Qualtrics' JSON as types, decoded straight from the bytes; no I/O and no meaning.

Nearly everything is optional, and several values come in more than one type (`finished` as 1 or true, `unsubscribed` as "0" or
false, `[]` where an empty `{}` is meant): what is uncertain is `Any` here and read tolerantly by `mapping`. A field that cannot be
read costs only its own record.
"""

from typing import Any

import msgspec

Json = Any


class Fault(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """An error as current and as old servers tell it."""

    error_message: str | None = None
    error_code: str | None = None
    internal_error_code: str | None = None
    qualtrics_error_code: str | None = None


class Meta(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What every answer carries beside its result. Very old servers put the error's fields here; `request_id` may be null."""

    http_status: str | None = None
    request_id: str | None = None
    notice: str | None = None
    error: Fault | None = None
    status: str | None = None
    error_message: str | None = None
    internal_error_code: str | None = None


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """An answer whose result is read apart."""

    result: msgspec.Raw = msgspec.Raw()
    meta: Meta = msgspec.field(default_factory=Meta)


class Listing(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A page. It may be empty although `next_page` is given; only its absence is the end."""

    elements: list[msgspec.Raw] = []
    next_page: str | None = None


class WhoAmI(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Only `user_id` is certain."""

    user_id: str | None = None
    user_name: str | None = None
    brand_id: str | None = None


class SurveyRow(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A survey as the list shows it, and the head of what `/surveys/{id}` shows."""

    id: str
    name: str | None = None
    owner_id: str | None = None
    is_active: Json = None
    creation_date: str | None = None
    last_modified: str | None = None
    last_modified_date: str | None = None

    @property
    def modified(self) -> str | None:
        """When it was last changed, by whichever name this answer has for that."""
        return self.last_modified or self.last_modified_date


class Question(msgspec.Struct, frozen=True, rename="pascal", gc=False):
    """A question of a survey's definition. `choices`, `answers` and `recode_values` may be lists where they are empty."""

    question_id: str | None = msgspec.field(default=None, name="QuestionID")
    question_text: str | None = None
    question_description: str | None = None
    data_export_tag: str | None = None
    question_type: str | None = None
    selector: str | None = None
    sub_selector: str | None = None
    choices: Json = None
    choice_order: Json = None
    answers: Json = None
    recode_values: Json = None


class Definition(msgspec.Struct, frozen=True, rename="pascal", gc=False):
    """The full definition; `questions` are read one by one."""

    survey_id: str | None = msgspec.field(default=None, name="SurveyID")
    survey_name: str | None = None
    survey_status: str | None = None
    last_modified: str | None = None
    questions: Json = None


class Progress(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """An export under way. `file_id` is null until `status` is complete; `percentComplete` means nothing and is not read."""

    progress_id: str | None = None
    status: str | None = None
    file_id: str | None = None
    error: Json = None


class Response(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One response: metadata, answers and embedded data side by side in `values`."""

    response_id: str
    values: dict[str, Json]
    labels: dict[str, Json] = {}
    displayed_fields: Json = None


class Directory(msgspec.Struct, frozen=True, rename="camel", gc=False):
    directory_id: str
    name: str | None = None
    is_default: Json = None


class Contact(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A contact of a directory; lists of a directory, of a mailing list and single ones differ in what they add."""

    contact_id: str | None = None
    id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    ext_ref: str | None = None
    language: str | None = None
    unsubscribed: Json = None
    directory_unsubscribed: Json = None
    embedded_data: dict[str, Json] | None = None
    creation_date: Json = None
    last_modified: Json = None


class Recipients(msgspec.Struct, frozen=True, rename="camel", gc=False):
    mailing_list_id: str | None = None
    contact_id: str | None = None


class Headers(msgspec.Struct, frozen=True, rename="camel", gc=False):
    subject: str | None = None


class SurveyLink(msgspec.Struct, frozen=True, rename="camel", gc=False):
    survey_id: str | None = None
    link_type: str | None = None
    expiration_date: str | None = None


class Distribution(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One sending of a survey, or one bundle of links."""

    id: str
    parent_distribution_id: str | None = None
    request_type: str | None = None
    request_status: str | None = None
    send_date: str | None = None
    created_date: str | None = None
    modified_date: str | None = None
    headers: Headers | None = None
    recipients: Recipients | None = None
    survey_link: SurveyLink | None = None
    embedded_data: dict[str, Json] | None = None
    stats: dict[str, Json] | None = None


class FollowUp(msgspec.Struct, frozen=True, rename="camel", gc=False):
    survey_id: str | None = None
    response_id: str | None = None


class Ticket(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A follow-up ticket. `status` and `priority` are numbers whose meaning each brand sets up."""

    key: str
    name: str | None = None
    owner_id: str | None = None
    status: int | None = None
    priority: int | None = None
    follow_up_details: FollowUp | None = None


class Made(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What came into being."""

    id: str | None = None
    contact_id: str | None = None
