"""Mistakes that people make in recipes, each as one edit of the shipped one; tells nothing about how they are found."""

from typing import NamedTuple

FOLLOW_SET = 'for_each = "linked(issue, \'escalated_to\')"\nbatch    = 25\ndo       = "desk.ticket.set"'
NOTE_TEXT = "Engineering closed {{ issue.source_key }} as {{ issue.resolution }}. Please tell the customer."
LINK = 'with = { left = "{{ ticket.id }}", right = "{{ issue.id }}", relation = "escalated_to" }'
ASKED = "'needs-engineering' in ticket.tags\"\nright"
TIER = "account.tier in"


class Edit(NamedTuple):
    """`old` becomes `new`. The carets must stand under what `«»` hold; hint and message must hold what is said here."""

    old: str
    new: str
    code: str
    hint: str = ""
    message: str = ""


NAMES = {
    "field in a condition": Edit(TIER, "«account.teir» in", "CX021", "did you mean `account.tier`?"),
    "field by half its name": Edit(
        "ticket.status_category in ['new'",
        "«ticket.stat» in ['new'",
        "CX021",
        "did you mean `ticket.status_category` or `ticket.status_native`?",
    ),
    "field in a template": Edit(
        "[{{ ticket.source_key }}]", "[{{ «ticket.sorce_key» }}]", "CX021", "did you mean `ticket.source_key`?"
    ),
    "field on a later line of a text": Edit(
        "Customer: {{ account.name }}", "Customer: {{ «account.nmae» }}", "CX021", "did you mean `account.name`?"
    ),
    "field behind non-ASCII letters": Edit(
        "Customer: {{ account.name }}", "Kunde – größter: {{ «account.nmae» }}", "CX021", "did you mean `account.name`?"
    ),
    "field behind escapes": Edit(
        '"[{{ ticket.source_key }}] ',
        r'"\u00e9\t\"[{{ «ticket.sorce_key» }}] ',
        "CX021",
        "did you mean `ticket.source_key`?",
    ),
    "field behind a line that goes on": Edit(
        "Customer: {{ account.name }}",
        "Customer: \\\n\n     {{ «account.nmae» }}",
        "CX021",
        "did you mean `account.name`?",
    ),
    "field behind tabs": Edit(
        'right_tier = "account.tier in',
        '\tright_tier\t=\t"«account.teir» in',
        "CX021",
        "did you mean `account.tier`?",
    ),
    "field of what belongs to the ticket": Edit(
        TIER, "«ticket.account.tier» in", "CX021", "did you mean `account.tier`?"
    ),
    "field of a list": Edit(
        ASKED, "«ticket.tags.needs» == 'x'\"\nright", "CX021", "look for something in it: 'x' in ticket.tags"
    ),
    "field inside a field": Edit(
        TIER,
        "«ticket.changed_by.knd» == 'person' or account.tier in",
        "CX021",
        "did you mean `ticket.changed_by.kind`?",
    ),
    "field without its record": Edit(
        "not linked(ticket,", "«priority» == 'high' or not linked(ticket,", "CX021", "did you mean `ticket.priority`?"
    ),
    "input without inputs": Edit("in inputs.tiers", "in «tiers»", "CX021", "did you mean `inputs.tiers`?"),
    "input": Edit("in inputs.tiers", "in «inputs.teirs»", "CX021", "did you mean `inputs.tiers`?"),
    "name": Edit(TIER, "«acount.tier» in", "CX021", "did you mean `account`?"),
    "result of a later step": Edit(
        "{{ ticket.problem or ticket.id }}",
        "{{ «note.id» }}",
        "CX021",
        "move that step up, or this one down",
        "`note` is a later step",
    ),
    "result of the step itself": Edit(
        "{{ ticket.problem or ticket.id }}", "{{ «issue.id» }}", "CX021", "move that step up, or this one down"
    ),
    "field of a result": Edit(
        "engineering as {{ issue.source_key }}",
        "engineering as {{ «issue.source_ky» }}",
        "CX021",
        "did you mean `issue.source_key`?",
    ),
    "name in follow.with": Edit(
        "Engineering closed {{ issue.source_key }} as",
        "Engineering closed {{ «ticket.source_key» }} as",
        "CX021",
        "did you mean `item`? It is the linked one",
    ),
    "field in follow.when": Edit(
        "issue.resolution in", "«issue.resolutoin» in", "CX021", "did you mean `issue.resolution`?"
    ),
    "record before the change in a sweep": Edit(
        'find     = "',
        "find     = \"«before.priority» == 'high' and ",
        "CX021",
        "only a trigger with `on` has one",
    ),
    "field of a trigger": Edit(
        '"status_category", "problem"]', '«"status_categry"», "problem"]', "CX033", "did you mean `status_category`?"
    ),
    "part of a field of a trigger": Edit(
        '"status_category", "problem"]', '"status_category", «"custom.region"»]', "CX033", "write `custom`"
    ),
    "field of a trigger that always changes": Edit(
        '"status_category", "problem"]', '"status_category", «"updated_at"»]', "CX033", "", "starts nothing"
    ),
    "field of sync": Edit(
        'left  = "ticket.priority"', 'left  = «"ticket.prioritiy"»', "CX021", "did you mean `ticket.priority`?"
    ),
    "field of sync that cannot be written": Edit(
        'right = "issue.priority"', 'right = «"issue.channel"»', "CX034", "it can set status_category, priority"
    ),
    "field of sync without its record": Edit(
        'left  = "ticket.priority"', 'left  = «"priority"»', "CX033", "", "write it like ticket.priority"
    ),
    "field that a test gives": Edit(
        'status_category = "resolved", tags',
        'status_category = "resolved", «tag» = ["x"], tags',
        "CX021",
        "did you mean `tags`?",
    ),
    "field that a test gives behind non-ASCII letters": Edit(
        'subject = "Export stops", priority = "none"',
        'subject = "größer – 語", «prioritiy» = "none"',
        "CX021",
        "did you mean `priority`?",
    ),
    "record that a test gives": Edit(
        'account = { name = "Solo"', '«acount» = { name = "Solo"', "CX045", "did you mean `account`?"
    ),
    "condition that a test expects": Edit(
        'stopped_at = "right_tier"', 'stopped_at = «"right_teir"»', "CX045", "did you mean `right_tier`?"
    ),
    "step that a test expects": Edit("step = { issue = {", "step = { «isue» = {", "CX045", "did you mean `issue`?"),
    "input that a test expects": Edit(
        'issue = { priority = "High"', 'issue = { «priorty» = "High"', "CX023", "did you mean `priority`?"
    ),
}

EXPRESSIONS = {
    "text never closed": Edit(ASKED, "«'»needs-engineering in ticket.tags\"\nright", "CX036", "add ' at its end"),
    "single equals sign": Edit(TIER, "account.name «=» 'x' or account.tier in", "CX036", "write `==`"),
    "braces never closed": Edit("Ticket: {{ ticket.url }}", "Ticket: «{{» ticket.url", "CX036", "add }}"),
    "something missing on a later line": Edit(
        "Ticket: {{ ticket.url }}", "Ticket: {{ ticket.url or «}}»", "CX036", "", "something is missing before these"
    ),
    "operator missing": Edit(TIER, "account.tier «inputs» in", "CX036", "for example `==`", "an operator is missing"),
    "filter": Edit("| limit(4000)", "| «limt»(4000)", "CX036", "did you mean `limit`?"),
    "function": Edit("not linked(ticket,", "not «linkd»(ticket,", "CX036", "did you mean `linked`?"),
    "map in a template": Edit("map('priority')", "map(«'prioritys'»)", "CX036", "did you mean `priority`?"),
    "hostile attribute": Edit(
        "Ticket: {{ ticket.url }}", "Ticket: {{ ticket.«__class__» }}", "CX036", "", "may not begin with `_`"
    ),
    "hostile call": Edit(
        "Ticket: {{ ticket.url }}", "Ticket: {{ «ticket.url.format('x')» }}", "CX036", "leave out the brackets"
    ),
    "hostile tag": Edit("Ticket: {{ ticket.url }}", "{% «include» 'x' %}", "CX036", "a template knows only `if`"),
    "condition in braces": Edit(TIER, "«{{» account.tier }} in", "CX036", "leave the braces out"),
}

COMPARISONS = {
    "value of no list": Edit("'resolved', 'closed'", "«'solved'», 'closed'", "CX022", "did you mean `resolved`?"),
    "value that stands there twice": Edit(
        "issue.resolution in ['fixed'",
        "issue.source_key != 'fixd' and issue.resolution in [«'fixd'»",
        "CX022",
        "did you mean `fixed`?",
    ),
    "value on the left": Edit(
        "issue.status_category == 'resolved' and issue.resolution in",
        "«'resolvd'» == issue.status_category and issue.resolution in",
        "CX022",
        "did you mean `resolved`?",
    ),
    "value in an inline if": Edit(
        "Ticket: {{ ticket.url }}",
        "{{ 'Hurry' if ticket.priority == «'hihg'» else '' }}",
        "CX022",
        "did you mean `high`?",
    ),
    "value in an if tag": Edit(
        "Ticket: {{ ticket.url }}", "{% if ticket.type == «'bugg'» %}x{% endif %}", "CX022", "did you mean `bug`?"
    ),
    "value in a sweep": Edit("'open', 'waiting']", "'open', «'wating'»]", "CX022", "did you mean `waiting`?"),
    "value in a step's if": Edit(
        'do   = "desk.comment.add_once"\nwith',
        'do   = "desk.comment.add_once"\nif   = "ticket.type != «\'insident\'»"\nwith',
        "CX022",
        "did you mean `incident`?",
    ),
    "value that a default cannot be": Edit(
        TIER,
        "(ticket.severity | default('S4')) == «'S5'» or account.tier in",
        "CX022",
        "",
        "it is one of S1, S2, S3, S4",
    ),
    "value of a field as it was": Edit(
        "issue.resolution in",
        "was(issue.status_category) == «'opn'» and issue.resolution in",
        "CX022",
        "did you mean `open`?",
    ),
    "value inside a field": Edit(
        TIER, "ticket.changed_by.kind == «'persn'» or account.tier in", "CX022", "did you mean `person`?"
    ),
    "value of a list of words": Edit(
        "'needs-engineering' in ticket.tags\"\nright",
        "«'leed'» in assignee.roles\"\nright",
        "CX022",
        "did you mean `lead`?",
    ),
    "number for a word": Edit(TIER, "ticket.priority == «1» or account.tier in", "CX022", "", "is never 1; it is one"),
    "number for a text": Edit(TIER, "ticket.source_key == «4017» or account.tier in", "CX022", "put it in quotes"),
    "list compared with one value": Edit(
        ASKED,
        "ticket.tags == «'needs-engineering'»\"\nright",
        "CX022",
        "did you mean `'needs-engineering' in ticket.tags`?",
    ),
    "record compared with a text": Edit(
        TIER, "account == «'Northwind'» or account.tier in", "CX022", "compare one of its fields: account.name"
    ),
    "words put in order": Edit(
        TIER, "«ticket.priority» >= 'high' or account.tier in", "CX026", "list those you mean: in ['urgent', 'high']"
    ),
    "trigger that is not there": Edit(
        TIER, "event.trigger == «'swep'» or account.tier in", "CX022", "did you mean `sweep`?"
    ),
    "entry that a map is never asked for": Edit(
        'urgent   = "Highest"', '«urgnt»    = "Highest"', "CX022", "did you mean `urgent`?"
    ),
    "value that a test gives": Edit(
        'priority = "none"', 'priority = «"non"»', "CX022", "did you mean `none`?", "`priority` is never 'non'"
    ),
}

LINKS = {
    "relation in a condition": Edit(
        "linked(ticket, 'escalated_to')", "linked(ticket, «'escalated'»)", "CX037", "did you mean `escalated_to`?"
    ),
    "relation in follow": Edit(
        FOLLOW_SET,
        FOLLOW_SET.replace("'escalated_to'", "«'escalate_to'»"),
        "CX037",
        "did you mean `escalated_to`?",
    ),
    "relation in sync": Edit(
        'relation = "escalated_to"\nmany', 'relation = «"escalatedto"»\nmany', "CX037", "did you mean `escalated_to`?"
    ),
    "linked of a field": Edit(
        "linked(ticket, 'escalated_to')", "linked(«ticket.id», 'escalated_to')", "CX037", "did you mean `ticket`?"
    ),
    "linked of inputs": Edit(
        "linked(ticket, 'escalated_to')", "linked(«inputs», 'escalated_to')", "CX037", "there are ticket, account"
    ),
    "change in a sweep": Edit(
        'find     = "',
        'find     = "«changed(ticket.priority)» and ',
        "CX038",
        "only a trigger with `on` tells of changes",
    ),
    "change of what did not change": Edit(
        TIER, "«was(account.tier)» == 'x' or account.tier in", "CX038", "", "only the ticket was changed here"
    ),
    "follow over what is no record": Edit(
        FOLLOW_SET,
        'for_each = «"issue.tags"»\nbatch    = 25\ndo       = "desk.ticket.set"',
        "CX037",
        "write linked(issue, 'escalated_to')",
    ),
    "side of a link that is no id": Edit(
        'left = "{{ ticket.id }}"', 'left = «"{{ ticket.source_key }}"»', "CX025", "did you mean `ticket.id`?"
    ),
    "side of a link that is a record": Edit(
        'right = "{{ issue.id }}"', 'right = «"{{ issue }}"»', "CX025", "did you mean `issue.id`?"
    ),
    "sync the other way round": Edit(
        'relation = "escalated_to"\nmany     = "left"                     # several tickets may share one issue\n\n'
        '[[sync.field]]\nleft  = "ticket.priority"\nright = "issue.priority"\nowner = "left"',
        'relation = «"escalated_to"»\nmany     = "right"\n\n'
        '[[sync.field]]\nleft  = "issue.priority"\nright = "ticket.priority"\nowner = "right"',
        "CX044",
        "swap `left` and `right`",
    ),
    "several owners": Edit(
        '[[sync.field]]\nleft  = "ticket.priority"\nright = "issue.priority"\nowner = "left"\njoin  = "max"',
        '«[[sync.field]]»\nleft  = "ticket.priority"\nright = "issue.priority"\nowner = "left"\n#',
        "CX044",
        'add join = "max", "min" or "first"',
    ),
    "join of one owner": Edit(
        'owner = "left"\njoin  = "max"',
        'owner = "right"\n«join»  = "max"',
        "CX044",
        'leave it out, or say many = "right"',
    ),
    "maximum of words": Edit(
        'left  = "ticket.priority"\nright = "issue.priority"\nowner = "left"\njoin  = "max"                         # the'
        ' most pressing ticket decides\nmap   = "priority"',
        'left  = "ticket.subject"\nright = "issue.subject"\nowner = "left"\njoin  = «"max"»',
        "CX044",
        'write join = "first"',
    ),
    "value that the other side does not take": Edit(
        '[[sync.field]]\nleft  = "ticket.priority"\nright = "issue.priority"',
        '«[[sync.field]]»\nleft  = "ticket.subject"\nright = "issue.severity"\nowner = "left"\njoin  = "first"\n\n'
        '[[sync.field]]\nleft  = "ticket.priority"\nright = "issue.priority"',
        "CX044",
        "translate it with `map`",
    ),
    "map of sync": Edit('map   = "priority"', 'map   = «"prority"»', "CX035", "did you mean `priority`?"),
}

VERBS = {
    "connection": Edit('desk    = "zendesk"', 'desk    = «"zendsk"»', "CX030", "did you mean `zendesk`?"),
    "role of a trigger": Edit(
        'every    = "15m"\nfrom     = "desk"', 'every    = "15m"\nfrom     = «"dsk"»', "CX031", "did you mean `desk`?"
    ),
    "role of a verb": Edit(
        'do = "tracker.issue.ensure"', 'do = «"traker.issue.ensure"»', "CX031", "did you mean `tracker`?"
    ),
    "verb": Edit(
        'do   = "desk.comment.add_once"',
        'do   = «"desk.comment.addonce"»',
        "CX034",
        "did you mean `desk.comment.add_once`?",
    ),
    "verb of the other system": Edit(
        'do       = "desk.ticket.set"', 'do       = «"desk.issue.set"»', "CX034", "did you mean `desk.ticket.set`?"
    ),
    "verb without a role": Edit(
        'do       = "desk.ticket.set"', 'do       = «"ticket.set"»', "CX034", "did you mean `desk.ticket.set`?"
    ),
    "core step": Edit('do   = "link"', 'do   = «"linke"»', "CX034", "did you mean `link`?"),
    "core step in follow": Edit('do       = "desk.ticket.set"', 'do       = «"stop"»', "CX034", "", "for steps only"),
    "input of a verb": Edit("same_as  =", "«sameas»  =", "CX023", "did you mean `same_as`?"),
    "input of a core step": Edit(
        'relation = "escalated_to" }',
        'relation = "escalated_to", «note» = "x" }',
        "CX023",
        "it has left, right, relation",
    ),
    "input that is needed": Edit(
        '[[step]]\nid   = "note"\ndo   = "desk.comment.add_once"\nwith = { visibility = "internal", body',
        '«[[step]]»\nid   = "note"\ndo   = "desk.comment.add_once"\nwith = { body',
        "CX010",
        'add visibility = "…" under with',
    ),
    "input of a core step that is needed": Edit(
        f'[[step]]\nid   = "join"\ndo   = "link"                         # ours, and shown on both sides\n{LINK}',
        f'«[[step]]»\nid   = "join"\ndo   = "link"\n{LINK.replace("right = ", "#right = ")}'.replace(
            ' #right = "{{ issue.id }}",', ""
        ),
        "CX010",
        'add right = "…" under with',
    ),
    "word of an input": Edit('type     = "bug"', 'type     = «"buug"»', "CX025", "did you mean `bug`?"),
    "word of an input in follow": Edit(
        'status_category = "open"\ntags_add', 'status_category = «"opened"»\ntags_add', "CX025", "did you mean `open`?"
    ),
    "word from an inline if": Edit(
        'type     = "bug"',
        "type     = \"{{ 'bug' if ticket.type == 'problem' else «'tsk'» }}\"",
        "CX025",
        "did you mean `task`?",
    ),
    "word of another list": Edit(
        'type     = "bug"', 'type     = "{{ «ticket.priority» }}"', "CX025", "", "is never one of question, incident"
    ),
    "text for a list": Edit(
        'tags_add        = ["fix-released"]', 'tags_add        = «"fix-released"»', "CX025", "", "it must be a list"
    ),
    "number for a text in an input": Edit(
        'project  = "{{ inputs.project }}"', "project  = «5»", "CX025", "", "it must be a text in quotes"
    ),
    "empty text": Edit(
        'subject  = "[{{ ticket.source_key }}] {{ ticket.subject }}"',
        'subject  = «""»',
        "CX025",
        "",
        "must not be empty",
    ),
    "note without visibility": Edit(
        'note_visibility = "internal"\nnote            =',
        "«note»            =",
        "CX024",
        'add note_visibility = "internal" or "public"',
    ),
    "visibility without a note": Edit(
        f'note_visibility = "internal"\nnote            = "{NOTE_TEXT}"',
        '«note_visibility» = "internal"',
        "CX024",
        'add note = "…", or leave it out',
    ),
    "nothing to act on": Edit(
        '[[step]]\nid = "issue"',
        '[[step]]\nid = "early"\ndo = «"tracker.comment.add_once"»\nwith = { visibility = "internal", body = "x" }\n'
        '\n[[step]]\nid = "issue"',
        "CX046",
        "let an earlier step make something there, or act in desk",
    ),
    "follow on its own side": Edit(
        'do       = "desk.comment.add_once"',
        'do       = «"tracker.comment.add_once"»',
        "CX046",
        "did you mean `desk.comment.add_once`?",
    ),
    "link made by hand": Edit(
        f'do   = "link"                         # ours, and shown on both sides\n{LINK}',
        'do   = «"desk.link.ensure"»\nwith = { system = "jira", key = "x", ref = "x/y/z", relation = "escalated_to" }\n'
        f'\n[[step]]\nid   = "join2"\ndo   = "link"\n{LINK}',
        "CX034",
        'write do = "link"',
    ),
}

FORM = {
    "key at the top": Edit("owner   =", '«ownr» = "x"\nowner   =', "CX012", "did you mean `owner`?"),
    "key of a table": Edit("writes_per_run  = 6", "«writes_per_rum» = 6", "CX012", "did you mean `writes_per_run`?"),
    "key of a trigger": Edit('every    = "15m"', 'every    = "15m"\n«evry» = "15m"', "CX012", "did you mean `every`?"),
    "key of a step": Edit("[step.with]\nmatch", "«wiht» = {}\n[step.with]\nmatch", "CX012", "did you mean `with`?"),
    "key of run": Edit("once_per =", "«onceper» = 'x'\nonce_per =", "CX012", "did you mean `once_per`?"),
    "key of an input": Edit('default = "ENG", about', '«defalt» = "ENG", about', "CX012", "did you mean `default`?"),
    "key of a field in sync": Edit('join  = "max"', '«jion» = "min"\njoin  = "max"', "CX012", "did you mean `join`?"),
    "key of sync": Edit('many     = "left"', '«mny» = "left"\nmany     = "left"', "CX012", "did you mean `many`?"),
    "key of follow": Edit(FOLLOW_SET, f"«btch» = 5\n{FOLLOW_SET}", "CX012", "did you mean `batch`?"),
    "key of retry": Edit('first = "10s"', '«frist» = "10s"', "CX012", "did you mean `first`?"),
    "key of on_error": Edit("then  =", '«than» = "skip"\nthen  =', "CX012", "did you mean `then`?"),
    "key of a test": Edit(
        "expect = { writes = 0, held", "«expct» = 1\nexpect = { writes = 0, held", "CX012", "did you mean `expect`?"
    ),
    "key of what a test expects": Edit("writes = 0, held", "«wrtes» = 0, held", "CX012", "did you mean `writes`?"),
    "table": Edit("[limits]", "[«limts»]\n[limits]", "CX012", "did you mean `limits`?"),
    "key of another table": Edit("[run]", "[run]\n«writes_per_hour» = 5", "CX012", "belongs to [limits]"),
    "key below the tables": Edit("[run]", '[run]\n«stage» = "live"', "CX012", "belongs to the top of the file"),
    "missing key of a step": Edit(
        '[[step]]\nid   = "note"', "«[[step]]»", "CX010", 'add id = "…"', "the key `id` is missing here"
    ),
    "missing key of a trigger": Edit(
        '[[trigger]]\nid       = "sweep"                    # catches whatever the feed missed\nevery    = "15m"\n'
        'from     = "desk"',
        '«[[trigger]]»\nid       = "sweep"\nevery    = "15m"',
        "CX010",
        'add from = "…"',
    ),
    "missing key of an input": Edit(
        'project = { type = "text", default',
        "«project» = { default",
        "CX010",
        'add type = "…"',
        "`type` is missing here",
    ),
    "number for a text": Edit('owner   = "support-ops"', "owner   = «5»", "CX014", "", "must be a text, in quotes"),
    "text for a number": Edit(
        "writes_per_run  = 6", 'writes_per_run  = «"6"»', "CX014", "", "`writes_per_run`: this must be a whole number"
    ),
    "text for a list of fields": Edit(
        'fields = ["tags", "priority", "status_category", "problem"]',
        'fields = «"tags"»',
        "CX014",
        "",
        "must be a list",
    ),
    "number in a list of fields": Edit(
        'fields = ["tags",', "fields = [«5»,", "CX014", "", "`fields[0]`: this must be a text"
    ),
    "limit of nothing": Edit("writes_per_run  = 6", "writes_per_run  = «0»", "CX014", "", "must be at least 1"),
    "word": Edit('stage   = "shadow"', 'stage   = «"shaddow"»', "CX014", "did you mean `shadow`?"),
    "word in a list": Edit(
        'only = ["rate_limited"', 'only = [«"rate_limitd"»', "CX014", "did you mean `rate_limited`?"
    ),
    "duration": Edit('every    = "15m"', 'every    = «"15x"»', "CX014", "", "is no duration: write it like 90s, 15m"),
    "duration without a unit": Edit(
        'every    = "15m"', "every    = «15»", "CX014", "", 'write the unit of time with it, in quotes: "15m"'
    ),
    "duration of nothing": Edit('every    = "15m"', 'every    = «"0s"»', "CX014", "", "must be at least 1s"),
    "pauses that do not grow": Edit(
        'first = "10s", max = "8h"', 'first = «"9h"», max = "8h"', "CX014", "", "the first pause is longer"
    ),
    "catch_up": Edit('catch_up = "6h"', 'catch_up = «"latst"»', "CX014", "", "neither none, latest or all nor a time"),
    "capital letter": Edit("right_tier =", "«Right_tier» =", "CX014", "", "a name begins with a small letter"),
    "rule for what a map does not list": Edit(
        'unmapped = "hold"', 'unmapped = «"holt"»', "CX035", "did you mean `hold`?"
    ),
    "list in a map": Edit('urgent   = "Highest"', 'urgent   = «["Highest"]»', "CX035", "", "a map gives single values"),
    "type of a default": Edit(
        'type = "list", default = ["enterprise", "strategic"]',
        'type = "list", default = «"enterprise"»',
        "CX041",
        "",
        "the default of the input `tiers` (account tiers that may be escalated) is not a list",
    ),
    "choices of what is no choice": Edit(
        'type = "text", default', 'type = "text", «of» = ["ENG"], default', "CX041", "", "`of` belongs to a choice"
    ),
    "choice of what is not offered": Edit(
        'type = "text", default = "ENG"',
        'type = "choice", of = ["ENG", "OPS"], default = «"EGN"»',
        "CX041",
        "did you mean `ENG`?",
    ),
    "canary for nobody": Edit(
        'stage   = "shadow"', 'stage   = «"canary"»', "CX047", 'canary = { accounts = ["northwind"], share = "10%" }'
    ),
    "share": Edit(
        'stage   = "shadow"', 'stage   = "shadow"\ncanary = { share = «"110%"» }', "CX014", "", "between 0% and 100%"
    ),
    "window without once_per": Edit(
        'once_per = "ticket.id"\nwindow', "«window»", "CX043", 'add once_per = "ticket.id"', "there is none"
    ),
    "test that expects nothing": Edit(
        'expect = { writes = 0, held = "priority" }', "«expect» = {}", "CX045", "say at least expect = { writes = 0 }"
    ),
    "two tests of one name": Edit(
        'name   = "a solved ticket is left alone"',
        'name   = «"a self-serve account is left alone"»',
        "CX042",
        "name it otherwise",
    ),
    "time of a test": Edit(
        'expect = { writes = 0, held = "priority" }',
        'at = «"yesterday"»\nexpect = { writes = 0, held = "priority" }',
        "CX045",
        "",
        "write it like 2026-05-06T09:00:00Z",
    ),
    "type of what a test gives": Edit(
        'tags = ["needs-engineering"] }, account = { name = "Solo"',
        'tags = «"needs-engineering"» }, account = { name = "Solo"',
        "CX045",
        "",
        "`tags` cannot be this: expected `array`, got `str`",
    ),
}

TRIGGERS = {
    "event": Edit('"ticket.changed"', '«"ticket.chnaged"»', "CX032", "did you mean `ticket.changed`?"),
    "entity of an event": Edit('"ticket.changed"', '«"tiket.changed"»', "CX032", "did you mean `ticket.changed`?"),
    "event that nobody tells": Edit(
        "[on_error]",
        '[[follow]]\nid = "x"\non = «"article.changed"»\nfrom = "tracker"\nwhen = "changed(article.title)"\n'
        "for_each = \"linked(article, 'escalated_to')\"\n"
        'do = "desk.ticket.set"\nwith = { status_category = "open" }\n\n[on_error]',
        "CX032",
        "",
        "connector jira yields no article; it yields ticket,",
    ),
    "two of one id": Edit('id       = "sweep"', 'id       = «"changed"»', "CX042", "give it another", "is used twice"),
    "two follows of one id": Edit('id       = "not_fixed"', 'id       = «"fixed"»', "CX042", "give it another"),
    "two steps of one id": Edit('id   = "note"', 'id   = «"join"»', "CX042", "give it another", "used twice"),
    "step named like something else": Edit(
        'id   = "note"', 'id   = «"account"»', "CX042", "give it another", "already the name of something else"
    ),
    "two beginnings": Edit(
        '[[trigger]]\nid       = "sweep"',
        '«[[trigger]]»\nid       = "sweep"\ncron = "0 8 * * *"',
        "CX032",
        "",
        "this one has `every` and `cron`",
    ),
    "no beginning": Edit(
        '[[trigger]]\nid       = "sweep"                    # catches whatever the feed missed\nevery    = "15m"',
        '«[[trigger]]»\nid       = "sweep"',
        "CX032",
        "",
        "this one has none of them",
    ),
    "cron": Edit(
        'every    = "15m"', 'cron     = «"0 25 * * *"»', "CX032", "minute hour day month weekday", "is no cron time"
    ),
    "cron that never comes": Edit('every    = "15m"', 'cron     = «"0 0 30 2 *"»', "CX032", "", "cron time"),
    "zone": Edit(
        'every    = "15m"', 'cron     = "0 8 * * *"\nzone = «"Europe/Berln"»', "CX032", "did you mean `Europe/Berlin`?"
    ),
    "zone by its city": Edit(
        'every    = "15m"', 'cron     = "0 8 * * *"\nzone = «"new york"»', "CX032", "did you mean `America/New_York`?"
    ),
    "zone without cron": Edit(
        'every    = "15m"', 'every    = "15m"\n«zone» = "UTC"', "CX032", "", "`every` needs none"
    ),
    "fields of a schedule": Edit(
        'every    = "15m"', 'every    = "15m"\n«fields» = ["tags"]', "CX032", "", "narrows changes"
    ),
    "fields of a beginning": Edit(
        'on     = "ticket.changed"\nfrom   = "desk"\nfields',
        'on     = "ticket.created"\nfrom   = "desk"\n«fields»',
        "CX033",
        "",
        "waits for ticket.created",
    ),
    "find of an event": Edit(
        'on     = "ticket.changed"',
        'on     = "ticket.changed"\n«find» = "ticket.priority == \'high\'"',
        "CX032",
        "",
        "`find` belongs to a schedule",
    ),
    "catch_up of an event": Edit(
        'on     = "ticket.changed"',
        'on     = "ticket.changed"\n«catch_up» = "all"',
        "CX032",
        "",
        "belongs to a schedule",
    ),
    "schedule without find": Edit(
        '[[trigger]]\nid       = "sweep"',
        '«[[trigger]]»\nid = "other"\nevery = "1h"\nfrom = "desk"\n\n[[trigger]]\nid       = "sweep"',
        "CX032",
        "",
        "needs `find`",
    ),
    "trigger about something else": Edit(
        '[[trigger]]\nid       = "sweep"',
        '[[trigger]]\nid = "other"\non = «"account.changed"»\nfrom = "desk"\n\n[[trigger]]\nid       = "sweep"',
        "CX032",
        "",
        "all triggers of a recipe are about the same",
    ),
}

# What the language has and this version has not.
PLANNED = {
    "settle": Edit('on     = "ticket.changed"', 'on     = "ticket.changed"\n«settle» = "2m"', "CX015"),
    "budget": Edit("[limits]", '[limits]\n«budget» = { tracker = "20%" }', "CX015"),
    "trace": Edit("[limits]", '[«trace»]\nacted = "90d"\n\n[limits]', "CX015"),
    "notify": Edit("then  =", 'notify = «"chat:#cx-ops"»\nthen  =', "CX031", "", "there is no role `chat`"),
    "newest owner": Edit(
        'owner = "left"', 'owner = «"newest"»', "CX015", "", "this version does not know 'newest' for `owner` yet"
    ),
    "business days": Edit(
        'window   = "30d"',
        'window   = «"2 business_days"»',
        "CX014",
        "",
        "counts by a calendar, and there is none here",
    ),
    "assign": Edit('do   = "desk.comment.add_once"', 'do   = «"assign"»', "CX015", "", "the step `assign`"),
    "fixtures": Edit(
        "[on_error]",
        '[[test]]\nname = "x"\ngiven = «"fixtures/x.json"»\nexpect = { writes = 0 }\n\n[on_error]',
        "CX015",
        "give it here",
    ),
    "echoes": Edit("writes = 0, held", "«echoes» = 1, held", "CX015", "", "`echoes` in a test"),
}

SYNTAX = {
    "key twice": Edit(
        'many     = "left"', 'many     = "left"\n«m»any = "right"', "CX001", "keep one of the two", "duplicate key"
    ),
    "table twice": Edit("[on_error]", "[«r»un]\n[on_error]", "CX001", "keep one of the two", "duplicate key"),
    "text never closed": Edit(
        'owner   = "support-ops"\n', 'owner   = "support-ops«\n»', "CX001", 'close the text with "'
    ),
    "text without quotes": Edit(
        'owner   = "support-ops"', "owner   = «s»upport-ops", "CX001", 'a text stands in quotes: "…"'
    ),
    "value that is missing": Edit('owner   = "support-ops"', "owner   = «\n»#", "CX001", "write one behind the ="),
    "list never closed": Edit(
        '"problem"]\n\n[[trigger]]\nid ', '"problem"\n\n«[»[trigger]]\nid ', "CX001", "put a comma between the items"
    ),
    "comma that is missing": Edit(
        '"tags", "priority"', '"tags" «"»priority"', "CX001", "put a comma between the items"
    ),
    "text behind a value": Edit(
        'owner   = "support-ops"', 'owner   = "größe" «s»upport', "CX001", "begin a new line here"
    ),
    "name with other letters": Edit(
        "right_tier =", "right_gr«ö»ße =", "CX001", "put a name with such characters in quotes"
    ),
}

ALL = {
    f"{group}: {name}": edit
    for group, edits in {
        "names": NAMES,
        "expressions": EXPRESSIONS,
        "comparisons": COMPARISONS,
        "links": LINKS,
        "verbs": VERBS,
        "form": FORM,
        "triggers": TRIGGERS,
        "planned": PLANNED,
        "syntax": SYNTAX,
    }.items()
    for name, edit in edits.items()
}
