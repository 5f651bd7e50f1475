"""What engineers and administrators do in the site's web pages, for tests and demos. No part of the vendor's API."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from cxbridge.sandbox.jira import adf, webhook_paths
from cxbridge.sandbox.jira.annotator import INTERNAL
from cxbridge.sandbox.jira.linking import link_issues
from cxbridge.sandbox.jira.paths import Services
from cxbridge.sandbox.jira.records import Issue
from cxbridge.sandbox.jira.site import User
from cxbridge.sandbox.jira.state import MISSING, JiraState
from cxbridge.sandbox.jira.wire import RefusedError
from cxbridge.sandbox.jira.workflow import walk
from cxbridge.sandbox.jira.writer import Writer
from cxbridge.sandbox.journal import Via

Json = Any
Body = Mapping[str, Any]
Answer = tuple[int, Json]


@dataclass(frozen=True, slots=True)
class Control:
    """One site with the people in it. `actor` in a body is a handle, an address, a name or an account id.

    GET    summary                          counts by project and status
    GET    issues                           every issue with its labels and links
    GET    issues/KEY                       one of them, with its comments
    POST   issues                           {project, summary, type?, description?, priority?, labels?, assignee?, …}
    PATCH  issues/KEY                       {summary?, priority?, labels?, assignee?, description?, fields?, hidden?}
    DELETE issues/KEY
    POST   issues/KEY/transition            {to, resolution?}: as many steps of the workflow as it takes
    POST   issues/KEY/comment               {body, internal?}
    POST   issues/KEY/move                  {project}
    POST   issues/KEY/link                  {to, type?}
    POST   webhooks                         {url, events?, jql?, secret?}: an administrator's
    GET    users      POST users            {name, email, handle?, time_zone?}
    PUT    issues/KEY/drift                 {fields?, missing?}: raw values the API shows whatever the issue holds
    POST   search/settle                    search knows everything from now on
    POST   search/mishap                    {kind, times?}: what befalls the next follow-up pages, see `search`
    PUT    search                           {lag}: seconds
    PUT    credentials                      {tokens?, scoped_tokens?, scopes?}: what is good from now on
    POST   credentials/code                 {client_id, redirect_uri}: an authorization code without a browser
    DELETE credentials/grants               every 3LO grant ends
    """

    services: Services

    @property
    def state(self) -> JiraState:
        return self.services.state

    def control(self, method: str, path: str, body: Json = None) -> Answer:
        """Do what a path says and answer with a status and a body; a mistake of the caller is a 4xx with `error`."""
        with self.state.world.lock:
            try:
                return self._route(method.upper(), [unquote(part) for part in path.strip("/").split("/")], body or {})
            except RefusedError as error:
                return error.status, {"error": "the site refused it", "reason": error.payload}
            except KeyError as error:
                return 400, {"error": f"{method} {path}: the body lacks {error.args[0]!r}"}
            except LookupError as error:
                return 404, {"error": str(error.args[0]) if error.args else "not found"}
            except (TypeError, ValueError) as error:
                return 400, {"error": f"{method} {path}: {error}"}

    def create_issue(self, body: Body) -> Issue:
        """Make an issue as `POST issues` does; `via` may be `seed`, and searches then know it at once."""
        writer = self._writer(body)
        fields: dict[str, Json] = {
            "project": {"key": body.get("project", "ENG")},
            "issuetype": {"name": body.get("type", "Bug")},
            **self._fields(body),
        }
        properties = [{"key": key, "value": value} for key, value in body.get("properties", {}).items()]
        issue = writer.create({"fields": fields, "properties": properties})
        if body.get("status"):
            issue = walk(writer, issue, str(body["status"]), body.get("resolution"))
        if writer.via == "seed":
            self.state.index.settle()
        return issue

    def load_row(self, row: Body) -> None:
        """Add one row of a company file: `jira.user` as for `POST users`, `jira.issue` as for `POST issues`.

        Raises:
            ValueError: the row cannot be used; the text says why.
        """
        kind, rest = row.get("kind"), {name: value for name, value in row.items() if name != "kind"}
        paths = {"jira.user": "users", "jira.issue": "issues"}
        if kind not in paths:
            raise ValueError(f"rows of kind {kind!r} are unknown to the simulated Jira; use {' or '.join(paths)}")
        status, answer = self.control("POST", paths[kind], {**rest, "via": "seed"})
        if status >= 400:
            raise ValueError(f"a row of kind {kind} was refused: {answer}")

    def state_counts(self) -> dict[str, Json]:
        """How much there is of what."""
        with self.state.world.lock:
            counts: dict[str, Json] = self._summary({})[1]
            return counts

    def _route(self, method: str, parts: list[str], body: Body) -> Answer:
        if parts[0] == "issues" and len(parts) in (2, 3):
            on_issue = self._on_issue().get((method, parts[2] if len(parts) == 3 else ""))
            if on_issue is not None:
                issue = self.state.find(parts[1])
                if issue is None:
                    raise LookupError(f"issue {parts[1]!r} does not exist")
                return on_issue(issue, body)
        on_site = self._on_site().get((method, "/".join(parts)))
        if on_site is None:
            raise LookupError(f"the Jira sandbox has no control path {method} {'/'.join(parts)}")
        return on_site(body)

    def _on_issue(self) -> Mapping[tuple[str, str], Callable[[Issue, Body], Answer]]:
        return {
            ("GET", ""): self._read,
            ("PATCH", ""): self._patch,
            ("DELETE", ""): self._delete,
            ("POST", "transition"): self._transition,
            ("POST", "comment"): self._comment,
            ("POST", "move"): self._move,
            ("POST", "link"): self._link,
            ("PUT", "drift"): self._let_drift,
        }

    def _on_site(self) -> Mapping[tuple[str, str], Callable[[Body], Answer]]:
        return {
            ("GET", "summary"): self._summary,
            ("GET", "issues"): self._list,
            ("POST", "issues"): self._create,
            ("GET", "users"): self._users,
            ("POST", "users"): self._add_user,
            ("POST", "search/settle"): self._settle,
            ("POST", "webhooks"): self._webhook,
            ("PUT", "search"): self._set_search,
            ("POST", "search/mishap"): self._mishap,
            ("PUT", "credentials"): self._set_credentials,
            ("POST", "credentials/code"): self._code,
            ("DELETE", "credentials/grants"): self._revoke_grants,
        }

    def _writer(self, body: Body) -> Writer:
        via: Via = "seed" if body.get("via") == "seed" else "ui"
        return Writer(self.state, self._person(body.get("actor", "ana")), via, version=2)

    def _person(self, who: Json) -> User:
        user = self.state.site.person(str(who))
        if user is None:
            raise LookupError(f"user {who!r} does not exist")
        return user

    def _fields(self, body: Body) -> dict[str, Json]:
        fields: dict[str, Json] = dict(body.get("fields", {}))
        fields |= {name: body[name] for name in ("summary", "description", "labels", "duedate") if name in body}
        if "priority" in body:
            fields["priority"] = {"name": body["priority"]}
        for name in ("assignee", "reporter"):
            if name in body:
                who = body[name]
                fields[name] = None if who is None else {"accountId": self._person(who).account_id}
        return fields

    # issues

    def _list(self, body: Body) -> Answer:
        return 200, [self._shown(issue) for issue in self.state.issues()]

    def _create(self, body: Body) -> Answer:
        return 201, self._shown(self.create_issue(body))

    def _read(self, issue: Issue, body: Body) -> Answer:
        comments = [
            {
                "id": str(comment.id),
                "author": self._label(comment.author),
                "text": adf.to_text(comment.body),
                "internal": comment.internal,
            }
            for comment in issue.comments
        ]
        return 200, {
            **self._shown(issue),
            "description": adf.to_text(issue.values.get("description")),
            "comments": comments,
        }

    def _patch(self, issue: Issue, body: Body) -> Answer:
        if "hidden" in body:
            self.state.hide(issue.id, bool(body["hidden"]))
        fields = self._fields(body)
        if fields:
            issue = self._writer(body).edit(issue, {"fields": fields})
        return 200, self._shown(issue)

    def _delete(self, issue: Issue, body: Body) -> Answer:
        self._writer(body).delete(issue, with_children=True)
        return 200, {"deleted": issue.key}

    def _transition(self, issue: Issue, body: Body) -> Answer:
        return 200, self._shown(walk(self._writer(body), issue, str(body["to"]), body.get("resolution")))

    def _comment(self, issue: Issue, body: Body) -> Answer:
        properties = [{"key": INTERNAL, "value": {"internal": True}}] if body.get("internal") else []
        issue, comment = self._writer(body).comment(issue, body["body"], properties)
        return 201, {"id": str(comment.id), "issue": self._shown(issue)}

    def _move(self, issue: Issue, body: Body) -> Answer:
        project = self.state.site.project(body["project"])
        if project is None:
            raise LookupError(f"project {body['project']!r} does not exist")
        return 200, self._shown(self._writer(body).move(issue, project))

    def _let_drift(self, issue: Issue, body: Body) -> Answer:
        self.state.let_drift(issue.id, {**body.get("fields", {}), **dict.fromkeys(body.get("missing", ()), MISSING)})
        return 200, {}

    def _link(self, issue: Issue, body: Body) -> Answer:
        ends = {"inwardIssue": {"key": issue.key}, "outwardIssue": {"key": body["to"]}}
        link_issues(self._writer(body), {"type": {"name": body.get("type", "Relates")}, **ends})
        return 201, self._shown(self.state.find(issue.id) or issue)

    def _label(self, account_id: str | None) -> str | None:
        user = self.state.site.user(account_id)
        return None if user is None else user.label

    def _shown(self, issue: Issue) -> dict[str, Json]:
        site, priority = self.state.site, issue.values.get("priority")
        status = site.status(issue.status)
        return {
            "id": str(issue.id),
            "key": issue.key,
            "project": issue.project,
            "type": site.type(issue.type_id).name,
            "summary": issue.summary,
            "status": status.name,
            "status_category": status.category.key,
            "resolution": site.resolution(issue.resolution).name if issue.resolution else None,
            "priority": site.priority(priority).name if priority else None,
            "assignee": self._label(issue.values.get("assignee")),
            "reporter": self._label(issue.values.get("reporter")),
            "labels": list(issue.labels),
            "properties": dict(issue.properties),
            "remote_links": [
                {
                    "id": link.id,
                    "global_id": link.global_id,
                    "url": link.object["url"],
                    "title": link.object["title"],
                    "resolved": (link.object.get("status") or {}).get("resolved"),
                }
                for link in issue.remote_links
            ],
            "links": [
                other.key
                for link in self.state.links_of(issue)
                if (other := self.state.find(link.target if link.source == issue.id else link.source)) is not None
            ],
            "comment_count": len(issue.comments),
            "created": issue.created.isoformat(),
            "updated": issue.updated.isoformat(),
            "hidden": self.state.hidden(issue.id),
        }

    # the site

    def _summary(self, body: Body) -> Answer:
        counts: dict[str, dict[str, int]] = {project.key: {} for project in self.state.site.projects}
        for issue in self.state.issues():
            name = self.state.site.status(issue.status).name
            counts[issue.project][name] = counts[issue.project].get(name, 0) + 1
        issues = list(self.state.issues())
        return 200, {
            "issues": len(issues),
            "comments": sum(len(issue.comments) for issue in issues),
            "remote_links": sum(len(issue.remote_links) for issue in issues),
            "by_project": counts,
        }

    def _users(self, body: Body) -> Answer:
        return 200, [
            {"account_id": one.account_id, "name": one.name, "email": one.email, "handle": one.handle}
            for one in self.state.users.values()
        ]

    def _add_user(self, body: Body) -> Answer:
        number = len(self.state.users)
        user = User(
            account_id=str(body.get("account_id", f"712020:00000000-0000-4000-8000-{number:012d}")),
            name=str(body["name"]),
            email=str(body["email"]),
            time_zone=str(body.get("time_zone", "Etc/UTC")),
            email_visible=bool(body.get("email_visible", False)),
            handle=str(body.get("handle", "")),
        )
        self.state.add_user(user)
        return 201, {"account_id": user.account_id}

    def _webhook(self, body: Body) -> Answer:
        return 201, {"id": webhook_paths.by_hand(self.services, body).id}

    def _settle(self, body: Body) -> Answer:
        self.state.index.settle()
        return 200, {}

    def _set_search(self, body: Body) -> Answer:
        self.state.index.lag = float(body["lag"])
        return 200, {"lag": self.state.index.lag}

    def _mishap(self, body: Body) -> Answer:
        self.services.search.expect(str(body["kind"]), int(body.get("times", 1)))
        return 200, {}

    def _set_credentials(self, body: Body) -> Answer:
        credentials = self.services.credentials
        credentials.tokens = set(body.get("tokens", credentials.tokens))
        credentials.scoped_tokens = set(body.get("scoped_tokens", credentials.scoped_tokens))
        credentials.set_scopes(body.get("scopes"))
        return 200, {}

    def _code(self, body: Body) -> Answer:
        now = self.state.world.clock.time()
        return 201, {"code": self.services.credentials.new_code(str(body["client_id"]), str(body["redirect_uri"]), now)}

    def _revoke_grants(self, body: Body) -> Answer:
        self.services.credentials.revoke_grants()
        return 200, {}
