"""Help Center articles and their translations as Zendesk shows them in JSON. Reads the account and changes nothing.

Field lists: developer.zendesk.com/api-reference/help_center/help-center-api/articles
"""

from cxbridge.sandbox.zendesk.entities import Article, Translation
from cxbridge.sandbox.zendesk.render import iso
from cxbridge.sandbox.zendesk.state import Json, ZendeskState


def article(state: ZendeskState, row: Article, locale: str | None = None) -> Json:
    text = row.translations.get(locale or row.source_locale, row.source)
    return {
        "id": row.id,
        "url": state.url(f"/help_center/{text.locale}/articles/{row.id}.json"),
        "html_url": f"{state.world.url('zendesk')}/hc/{text.locale}/articles/{row.id}",
        "author_id": row.author_id,
        "comments_disabled": row.comments_disabled,
        "draft": text.draft,
        "promoted": row.promoted,
        "position": 0,
        "vote_sum": 0,
        "vote_count": 0,
        "section_id": row.section_id,
        "created_at": iso(row.created),
        "updated_at": iso(row.updated),
        "edited_at": iso(row.edited),
        "name": text.title,
        "title": text.title,
        "source_locale": row.source_locale,
        "locale": text.locale,
        "outdated": False,
        "outdated_locales": [],
        "user_segment_id": row.user_segment_id,
        "user_segment_ids": [] if row.user_segment_id is None else [row.user_segment_id],
        "permission_group_id": row.permission_group_id,
        "content_tag_ids": [],
        "label_names": row.label_names,
        "body": text.body,
    }


def translation(state: ZendeskState, row: Article, text: Translation) -> Json:
    return {
        "id": text.id,
        "url": state.url(f"/help_center/articles/{row.id}/translations/{text.locale}.json"),
        "html_url": f"{state.world.url('zendesk')}/hc/{text.locale}/articles/{row.id}",
        "source_id": row.id,
        "source_type": "Article",
        "locale": text.locale,
        "title": text.title,
        "body": text.body,
        "draft": text.draft,
        "hidden": False,
        "outdated": False,
        "created_by_id": row.author_id,
        "updated_by_id": text.author_id,
        "created_at": iso(text.created),
        "updated_at": iso(text.updated),
    }
