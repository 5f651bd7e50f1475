"""What can be done to Help Center articles: write one, change its texts. Speaks no HTTP."""

from collections.abc import Mapping
from typing import Any

from cxbridge.sandbox.journal import Via
from cxbridge.sandbox.zendesk.entities import Article, Translation, User
from cxbridge.sandbox.zendesk.errors import not_found, record_invalid
from cxbridge.sandbox.zendesk.state import Json, ZendeskState

LOCALE = "en-us"


def find(state: ZendeskState, ident: int) -> Article:
    """Raises ApiError 404."""
    article = state.articles.get(ident)
    if article is None:
        raise not_found()
    return article


def section(state: ZendeskState, name: str, category: str = "General") -> int:
    """The id of a section by name, which is made if it is not there."""
    for row in state.sections.values():
        if row["name"].lower() == name.lower():
            return int(row["id"])
    parent = next((c["id"] for c in state.categories.values() if c["name"].lower() == category.lower()), None)
    if parent is None:
        parent = _shelf(state, state.categories, category)
    return _shelf(
        state, state.sections, name, category_id=parent, parent_section_id=None, theme_template="section_page"
    )


def _shelf(state: ZendeskState, table: dict[int, Json], name: str, **more: Any) -> int:
    ident = state.new_id()
    now = state.second()
    table[ident] = {
        "id": ident,
        "name": name,
        "description": "",
        "position": len(table),
        "sorting": "manual",
        "locale": LOCALE,
        "source_locale": LOCALE,
        "outdated": False,
        "created_at": now,
        "updated_at": now,
        **more,
    }
    return ident


def create(
    state: ZendeskState,
    actor: User,
    section_id: int,
    body: Mapping[str, Any],
    *,
    via: Via,
    ident: int | None = None,
    created: int | None = None,
) -> Article:
    """Write an article in its first language."""
    if section_id not in state.sections:
        raise not_found()
    if not body.get("title"):
        raise record_invalid(title=("Title: cannot be blank", "BlankValue"))
    when = created if created is not None else state.second()
    locale = str(body.get("locale") or LOCALE).lower()
    article = Article(
        id=ident or state.new_id(),
        section_id=section_id,
        author_id=actor.id,
        source_locale=locale,
        created=when,
        updated=when,
        edited=when,
        label_names=[str(name) for name in body.get("label_names") or []],
        user_segment_id=body.get("user_segment_id"),
        permission_group_id=body.get("permission_group_id"),
        promoted=bool(body.get("promoted")),
    )
    article.translations[locale] = _text(state, actor, locale, body, when)
    state.articles[article.id] = article
    state.article_changes.put(article.id, when)
    state.effect("article.created", article.id, actor, via, title=article.source.title, draft=article.source.draft)
    return article


def update(state: ZendeskState, actor: User, article: Article, body: Mapping[str, Any], *, via: Via) -> None:
    """Change the article itself; `title`, `body` and `draft` are ignored, since they belong to its translations."""
    asked: Json = {}
    if "label_names" in body:
        asked["label_names"] = [str(name) for name in body["label_names"] or []]
    for name in ("promoted", "comments_disabled"):
        if name in body:
            asked[name] = bool(body[name])
    for name in ("user_segment_id", "permission_group_id", "section_id"):
        if name in body:
            asked[name] = body[name]
    changed = {name: [getattr(article, name), v] for name, v in asked.items() if getattr(article, name) != v}
    if not changed:
        state.effect("noop", article.id, actor, via, asked=sorted(body), record="article")
        return
    for name in changed:
        setattr(article, name, asked[name])
    article.updated = state.second()
    state.article_changes.put(article.id, article.updated)
    state.effect("article.updated", article.id, actor, via, changes=changed)


def translate(
    state: ZendeskState, actor: User, article: Article, locale: str, body: Mapping[str, Any], *, via: Via
) -> Translation:
    """Write an article's text in one language; bumps the article's `edited_at` and `updated_at`."""
    now = state.second()
    known = article.translations.get(locale)
    if known is None:
        text = article.translations[locale] = _text(state, actor, locale, body, now)
        changed: Json = {"title": [None, text.title]}
    else:
        text = known
        asked = {name: body[name] for name in ("title", "body", "draft") if name in body}
        changed = {name: [getattr(text, name), v] for name, v in asked.items() if getattr(text, name) != v}
        if not changed:
            state.effect("noop", article.id, actor, via, asked=sorted(body), record="translation")
            return text
        for name in changed:
            setattr(text, name, asked[name])
        text.updated, text.author_id = now, actor.id
    article.updated = article.edited = now
    state.article_changes.put(article.id, now)
    state.effect("translation.updated", article.id, actor, via, locale=locale, changes=changed)
    return text


def _text(state: ZendeskState, actor: User, locale: str, body: Mapping[str, Any], when: int) -> Translation:
    return Translation(
        id=state.new_id(),
        locale=locale,
        title=str(body.get("title") or ""),
        body=str(body.get("body") or ""),
        draft=bool(body.get("draft")),
        created=when,
        updated=when,
        author_id=actor.id,
    )
