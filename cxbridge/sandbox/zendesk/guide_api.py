"""The endpoints of the Help Center. They answer only to paths that end in `.json`, which the app sees to."""

from collections.abc import Callable

from cxbridge.sandbox.zendesk import guide, render, render_guide
from cxbridge.sandbox.zendesk.call import Call, Reply, Route
from cxbridge.sandbox.zendesk.entities import Article
from cxbridge.sandbox.zendesk.errors import not_found
from cxbridge.sandbox.zendesk.paging import SortKey, listing
from cxbridge.sandbox.zendesk.state import Json

_DEFAULT_PAGE = 30
_LARGEST_PAGE = 1000
_SORTS: dict[str, SortKey] = {
    "created_at": lambda row: row.created,
    "updated_at": lambda row: row.updated,
    "edited_at": lambda row: row.edited,
    "title": lambda row: row.source.title,
}


def _locale(call: Call) -> str | None:
    found = call.params.get("locale")
    return found.lower() if found else None


def _shown(call: Call, row: Article) -> Json:
    content = render_guide.article(call.state, row, _locale(call))
    if "translations" in call.includes():
        content["translations"] = [render_guide.translation(call.state, row, t) for t in row.translations.values()]
    return content


def _articles(call: Call) -> Reply:
    locale = _locale(call)
    rows = [row for row in call.state.articles.values() if locale is None or locale in row.translations]
    if "id" in call.params:
        section_id = call.ident()
        if section_id not in call.state.sections:
            raise not_found()
        rows = [row for row in rows if row.section_id == section_id]
    if call.query.get("label_names"):
        wanted = set(call.query["label_names"].split(","))
        rows = [row for row in rows if wanted & set(row.label_names)]
    return listing(
        call,
        "articles",
        rows,
        lambda row: _shown(call, row),
        sorts=_SORTS,
        default_size=_DEFAULT_PAGE,
        help_center=True,
    )


def _article(call: Call) -> Reply:
    return Reply(content={"article": _shown(call, guide.find(call.state, call.ident()))})


def _incremental(call: Call) -> Reply:
    """Changed articles by time. An empty window ends at 1; nothing marks the end, nothing tells of deletions."""
    start = call.integer("start_time") or 0
    page = call.state.article_changes.since(start, call.state.second(), _LARGEST_PAGE, whole_seconds=True)
    more = bool(page) and bool(call.state.article_changes.since(page[-1].second + 1, call.state.second(), 1))
    content = {
        "articles": [_shown(call, call.state.articles[place.id]) for place in page],
        "count": len(page),
        "next_page": call.link({"start_time": page[-1].second}) if more else None,
        "end_time": page[-1].second if page else 1,
    }
    return Reply(content=content)


def _search(call: Call) -> Reply:
    words = (call.query.get("query") or "").lower().split()
    until = call.state.second() - call.state.options.search_lag
    rows = [
        row
        for row in call.state.articles.values()
        if row.created <= until and all(word in f"{row.source.title} {row.source.body}".lower() for word in words)
    ]
    return listing(call, "results", rows, lambda row: _shown(call, row), default_size=25, help_center=True)


def _create(call: Call) -> Reply:
    body = dict(call.part("article"))
    body.setdefault("locale", _locale(call) or guide.LOCALE)
    created = guide.create(call.state, call.actor, call.ident(), body, via="api")
    return Reply(201, {"article": render_guide.article(call.state, created)})


def _update(call: Call) -> Reply:
    article = guide.find(call.state, call.ident())
    guide.update(call.state, call.actor, article, call.part("article"), via="api")
    return Reply(content={"article": render_guide.article(call.state, article)})


def _translations(call: Call) -> Reply:
    article = guide.find(call.state, call.ident())
    return listing(
        call,
        "translations",
        list(article.translations.values()),
        lambda row: render_guide.translation(call.state, article, row),
        default_size=_DEFAULT_PAGE,
        help_center=True,
    )


def _translation(call: Call) -> Reply:
    article = guide.find(call.state, call.ident())
    text = article.translations.get(call.params["language"].lower())
    if text is None:
        raise not_found()
    return Reply(content={"translation": render_guide.translation(call.state, article, text)})


def _translate(call: Call) -> Reply:
    article = guide.find(call.state, call.ident())
    language = call.params["language"].lower()
    if language not in article.translations:
        raise not_found()
    text = guide.translate(call.state, call.actor, article, language, call.part("translation"), via="api")
    return Reply(content={"translation": render_guide.translation(call.state, article, text)})


def _add_translation(call: Call) -> Reply:
    article = guide.find(call.state, call.ident())
    body = call.part("translation")
    language = str(body.get("locale") or "").lower()
    text = guide.translate(call.state, call.actor, article, language, body, via="api")
    return Reply(201, {"translation": render_guide.translation(call.state, article, text)})


def _shelves(kind: str) -> Callable[[Call], Reply]:
    def handler(call: Call) -> Reply:
        rows = call.state.sections if kind == "sections" else call.state.categories
        return listing(
            call,
            kind,
            list(rows.values()),
            lambda row: render.reference(call.state, f"help_center/{kind}", row),
            default_size=_DEFAULT_PAGE,
            help_center=True,
        )

    return handler


def _locales(call: Call) -> Reply:
    found = {locale for row in call.state.articles.values() for locale in row.translations} | {guide.LOCALE}
    return Reply(content={"locales": sorted(found), "default_locale": guide.LOCALE})


ROUTES = (
    Route("GET", "/help_center/incremental/articles", _incremental),
    Route("GET", "/help_center/locales", _locales),
    Route("GET", "/help_center/{locale?}/articles", _articles),
    Route("GET", "/help_center/{locale?}/articles/search", _search),
    Route("GET", "/help_center/{locale?}/articles/{id}", _article),
    Route("PUT", "/help_center/{locale?}/articles/{id}", _update),
    Route("GET", "/help_center/{locale?}/sections", _shelves("sections")),
    Route("GET", "/help_center/{locale?}/categories", _shelves("categories")),
    Route("GET", "/help_center/{locale?}/sections/{id}/articles", _articles),
    Route("POST", "/help_center/{locale?}/sections/{id}/articles", _create),
    Route("GET", "/help_center/articles/{id}/translations", _translations),
    Route("POST", "/help_center/articles/{id}/translations", _add_translation),
    Route("GET", "/help_center/articles/{id}/translations/{language}", _translation),
    Route("PUT", "/help_center/articles/{id}/translations/{language}", _translate),
)
