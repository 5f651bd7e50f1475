"""Users, organizations, satisfaction, reference data and the Help Center of the simulated Zendesk."""

from typing import Any

import httpx
import pytest

from cxbridge.sandbox import zendesk


def user(site, status=201, path="/users.json", **fields):
    return site.send("POST", path, status, json={"user": fields})


def test_a_user_joins_the_organization_of_its_domain(site):
    zendesk.load(site.world, [{"kind": "organization", "name": "Globex", "domains": ["globex.test"]}])
    globex = site.get("/organizations.json")["organizations"][0]

    made = user(site, name="Mia", email="Mia@Globex.test")["user"]

    assert (made["email"], made["organization_id"]) == ("mia@globex.test", globex["id"])
    assert [row["id"] for row in site.get(f"/organizations/{globex['id']}/users")["users"]] == [made["id"]]
    memberships = site.get("/organization_memberships.json")["organization_memberships"]
    assert [(row["user_id"], row["organization_id"]) for row in memberships] == [(made["id"], globex["id"])]


def test_an_address_belongs_to_one_user(site):
    user(site, name="Mia", email="mia@globex.test")

    refused = user(site, 422, name="Other", email="MIA@globex.test")

    assert refused["details"]["email"][0]["error"] == "DuplicateValue"


def test_create_or_update_matches_by_external_id_or_address(site):
    path = "/users/create_or_update.json"
    new = user(site, 201, path, name="Mia", email="mia@globex.test", external_id="CRM-1")["user"]

    by_email = user(site, 200, path, name="Mia Lee", email="mia@globex.test")["user"]
    by_external_id = user(site, 200, path, external_id="crm-1", name="Mia Lee", phone="+49 1")["user"]

    assert new["id"] == by_email["id"] == by_external_id["id"]
    assert site.kinds() == ["user.created", "user.updated", "user.updated"]
    user(site, 200, path, name="Mia Lee", email="mia@globex.test")
    assert site.kinds()[-1] == "noop"


def test_a_new_address_becomes_a_second_identity(site):
    mia = user(site, name="Mia", email="mia@globex.test")["user"]

    site.send("PUT", f"/users/{mia['id']}.json", json={"user": {"email": "mia.lee@globex.test"}})

    assert site.get(f"/users/{mia['id']}")["user"]["email"] == "mia@globex.test"
    identities = site.get(f"/users/{mia['id']}/identities.json")["identities"]
    assert [(row["value"], row["primary"]) for row in identities] == [
        ("mia@globex.test", True),
        ("mia.lee@globex.test", False),
    ]


def test_user_search_by_query_lags_and_by_external_id_does_not(site):
    user(site, name="Mia Lee", email="mia@globex.test", external_id="CRM-1")

    assert site.get("/users/search.json", query="mia@globex.test")["users"] == []
    assert site.get("/users/search.json", external_id="crm-1")["users"][0]["name"] == "Mia Lee"
    site.wait()
    assert site.get("/users/search.json", query="mia@globex.test")["count"] == 1
    assert site.get("/users/search.json", query="email:mia@globex.test role:agent")["count"] == 0


def test_bulk_users_are_refused_until_the_account_may(start_site):
    rows = {"users": [{"name": "Mia", "email": "mia@globex.test"}]}
    path = "/users/create_or_update_many.json"

    start_site().send("POST", path, 403, json=rows)
    site = start_site(bulk_users=True)
    job = site.send("POST", path, json=rows)["job_status"]

    site.get(f"/job_statuses/{job['id']}")
    assert site.get(f"/job_statuses/{job['id']}")["job_status"]["results"][0]["status"] == "Created"


def test_organizations_are_matched_by_external_id_and_never_by_name(site):
    path = "/organizations/create_or_update.json"
    body = {"name": "Globex", "external_id": "CRM-7", "organization_fields": {"tier": "gold"}}

    made = site.send("POST", path, 201, json={"organization": body})["organization"]
    same = site.send("POST", path, 200, json={"organization": {"external_id": "crm-7", "name": "Globex AG"}})
    taken = site.send("POST", path, 422, json={"organization": {"name": "globex ag"}})

    assert same["organization"]["id"] == made["id"]
    assert same["organization"]["organization_fields"] == {"tier": "gold"}
    assert taken["details"]["name"][0]["error"] == "DuplicateValue"
    found = site.get("/organizations/search.json", external_id="CRM-7")["organizations"]
    assert [row["id"] for row in found] == [made["id"]]


def test_satisfaction_comes_as_ratings_or_as_surveys_never_both(start_site):
    rows: list[dict[str, Any]] = [
        {"id": 1, "subject": "a", "age": "3d", "satisfaction": {"score": "good", "comment": "Thanks!"}},
        {"id": 2, "subject": "b", "age": "2d", "satisfaction": {"score": "bad"}},
        {"id": 3, "subject": "c", "age": "1d", "satisfaction": {"score": "offered"}},
    ]
    old, new = start_site(), start_site(csat="surveys")
    zendesk.load(old.world, rows)
    zendesk.load(new.world, rows)

    ratings = old.get("/satisfaction_ratings.json", score="received", **{"page[size]": 100})["satisfaction_ratings"]
    assert [(row["ticket_id"], row["score"]) for row in ratings] == [(1, "good"), (2, "bad")]
    assert old.get("/tickets/1")["ticket"]["satisfaction_rating"]["comment"] == "Thanks!"
    assert old.get("/satisfaction_ratings.json", score="good_with_comment")["count"] == 1
    old.get("/guide/survey_responses", 404)

    surveys = new.get("/guide/survey_responses", **{"page[size]": 100})["survey_responses"]
    assert [row["answers"][0]["rating_category"] for row in surveys] == ["good", "bad"]
    since = {"filter[created_at_start]": (1778057173 - 2 * 86400) * 1000}
    assert len(new.get("/guide/survey_responses", **since)["survey_responses"]) == 1
    assert new.get("/satisfaction_ratings.json")["satisfaction_ratings"] == []


def test_reference_data_is_there(site):
    field = site.world.zendesk.add_ticket_field("Region", "tagger", choices=[{"name": "North", "value": "north"}])

    assert site.get("/groups.json")["groups"][0]["name"] == "Support"
    statuses = site.get("/custom_statuses.json")["custom_statuses"]
    assert [row["status_category"] for row in statuses if row["default"]] == [
        "new",
        "open",
        "pending",
        "hold",
        "solved",
    ]
    options = site.get(f"/ticket_fields/{field}.json")["ticket_field"]["custom_field_options"]
    assert [(row["name"], row["value"]) for row in options] == [("North", "north")]
    site.new_ticket(tags=["a", "b"])
    site.new_ticket(tags=["b"])
    assert site.get("/tags.json")["tags"] == [{"name": "b", "count": 2}, {"name": "a", "count": 1}]


ARTICLES: list[dict[str, Any]] = [
    {"kind": "article", "title": "Export", "body": "<p>How to</p>", "section": "Guides", "labels": ["export"]},
    {"kind": "article", "title": "Draft", "body": "<p>Soon</p>", "draft": True},
]


def test_help_center_answers_only_to_json_paths(site):
    zendesk.load(site.world, ARTICLES)

    page = site.get("/help_center/articles.json")
    assert (page["count"], page["per_page"], page["page_count"]) == (2, 30, 1)
    assert [row["draft"] for row in page["articles"]] == [False, True]
    site.get("/help_center/articles", 415)
    ident = page["articles"][0]["id"]
    assert site.get(f"/help_center/en-us/articles/{ident}.json")["article"]["title"] == "Export"
    assert site.get("/help_center/de/articles.json")["articles"] == []
    assert len(site.get("/help_center/articles.json", **{"page[size]": 1})["articles"]) == 1
    assert {row["name"] for row in site.get("/help_center/sections.json")["sections"]} == {"Guides", "General"}


def test_an_empty_window_of_articles_ends_at_one(site):
    zendesk.load(site.world, ARTICLES)

    full = site.get("/help_center/incremental/articles.json", start_time=0)
    empty = site.get("/help_center/incremental/articles.json", start_time=1778057173)

    assert full["count"] == 2
    assert full["end_time"] > 1
    assert (empty["articles"], empty["count"], empty["next_page"], empty["end_time"]) == ([], 0, None, 1)


def test_article_texts_change_through_translations_only(site):
    section = site.world.zendesk
    zendesk.load(site.world, ARTICLES)
    shelf = site.get("/help_center/sections.json")["sections"][0]["id"]
    body = {"article": {"title": "New", "body": "<p>x</p>", "locale": "en-us", "label_names": ["a"]}}
    article = site.send("POST", f"/help_center/en-us/sections/{shelf}/articles.json", 201, json=body)["article"]
    site.wait(5)

    ignored = {"article": {"title": "Other", "body": "<p>y</p>", "draft": True}}
    same = site.send("PUT", f"/help_center/articles/{article['id']}.json", json=ignored)["article"]
    assert (same["title"], same["body"], same["draft"]) == ("New", "<p>x</p>", False)
    assert site.kinds() == ["article.created", "noop"]

    path = f"/help_center/articles/{article['id']}/translations/en-us.json"
    site.send("PUT", path, json={"translation": {"title": "Other", "body": "<p>y</p>"}})
    changed = site.get(f"/help_center/articles/{article['id']}.json", include="translations")["article"]
    assert changed["title"] == "Other"
    assert changed["edited_at"] > article["edited_at"]
    assert [row["locale"] for row in changed["translations"]] == ["en-us"]
    assert len(section.articles) == 3


def test_a_plan_without_a_help_center_answers_401_there(start_site):
    site = start_site(guide=False)

    assert site.get("/help_center/articles.json", 401)["error"] == "Couldn't authenticate you"
    site.get("/tickets.json")


@pytest.mark.parametrize("name", ["hit", "miss"])
def test_files_need_no_credentials_but_their_address(site, name):
    upload = site.send("POST", "/uploads.json?filename=a.bin", 201, content=b"\x00\x01")["upload"]
    url = upload["attachment"]["content_url"]

    reply = httpx.get(url if name == "hit" else url.replace("upload-", "upload-9"), trust_env=False)

    assert (reply.status_code, reply.content[:2]) == ((200, b"\x00\x01") if name == "hit" else (404, b'{"'))
