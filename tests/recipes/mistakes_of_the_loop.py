"""Mistakes with nouns, calendars, bands, windows, judgements and repeated steps, each as one edit of `loop.toml`."""

from tests.recipes.mistakes import Edit

UNHAPPY = "or crossed(feedback.score_100, 'unhappy')\""
CALM = "not in_window(now, 'outage')"
SPOKEN = "language(feedback.verbatim) in"
OWNED = "owner.email is not none"
STAFFED = "is_open(now, inputs.calendar)"
FRESH = "business_age(feedback.submitted_at, inputs.calendar) < '80h'"
DUE = "deadline(feedback.submitted_at, inputs.first, inputs.calendar)"
GIVEN_WINDOW = 'windows  = [{ name = "eu-login", kind = "outage", from = 2026-05-06T08:00:00Z }]'

NOUNS = {
    "field of feedback": Edit(
        "['detractor', 'dissatisfied'] or",
        "['detractor', 'dissatisfied'] and «feedback.verbatm» != '' or",
        "CX021",
        "did you mean `feedback.verbatim`?",
    ),
    "band that there is not": Edit(
        "['detractor', 'dissatisfied'] or", "['detractor', «'disatisfied'»] or", "CX022", "did you mean `dissatisfied`?"
    ),
    "field of the owner": Edit(OWNED, "«owner.mail» is not none", "CX021", "did you mean `owner.email`?"),
    "owner who was meant": Edit(OWNED, "«account.owner» is not none", "CX021", "did you mean `account.owner_csm`?"),
    "event of a response": Edit(
        'on     = "feedback.changed"', 'on     = «"response.changed"»', "CX032", "did you mean `feedback.changed`?"
    ),
    "entity that the connection has not": Edit(
        '[[step]]\nid = "task"',
        '[[follow]]\nid = "x"\non = «"health.changed"»\nfrom = "survey"\nwhen = "1 == 1"\nfor_each = "linked(health, \'about\')"\n'
        'do = "survey.response.set"\nwith = { attributes = { x = "y" } }\n\n[[step]]\nid = "task"',
        "CX032",
        "",
        "connector survey yields no health",
    ),
    "verb under another noun": Edit(
        'do = "success.task.ensure"', 'do = «"success.cta.ensure"»', "CX034", "did you mean `success.task.ensure`?"
    ),
    "verb that this role has not": Edit(
        'do   = "survey.response.set"',
        'do   = «"survey.timeline.add_once"»',
        "CX034",
        "",
        "offers no `timeline.add_once`",
    ),
    "verb without something to act on": Edit(
        'do   = "survey.response.set"\nwith = { attributes = { loop = "open" } }',
        'do   = «"tracker.comment.add_once"»\nwith = { visibility = "internal", body = "x" }',
        "CX046",
        "let an earlier step make something there",
    ),
    "verb of another kind": Edit(
        'do   = "survey.response.set"\nwith = { attributes = { loop = "open" } }',
        'do   = "chat.message.settle"\nwith = { text = "x" }\n\n[[step]]\nid = "z"\ndo = "success.health.set"\n'
        'with = { account = "{{ account.id }}", value = 3, «valu» = 4 }',
        "CX023",
        "did you mean `value`?",
    ),
    "record of what belongs to nobody": Edit(
        "{{ its(item, 'contact').name }}",
        "{{ its(feedback, «'assignee'»).name }}",
        "CX037",
        "there are account, contact, ticket, agent, owner",
    ),
    "record of a name that there is not": Edit(
        "its(item, 'contact').name", "its(item, «'contct'»).name", "CX036", "did you mean `contact`?"
    ),
    "record of a field": Edit(
        "its(item, 'contact').name", "its(«feedback.contact», 'account').name", "CX037", "did you mean `feedback`?"
    ),
    "field of a record": Edit(
        "its(item, 'contact').name", "«its(item, 'contact').nmae»", "CX021", "did you mean `name`?"
    ),
}

TIMES = {
    "calendar that there is not": Edit(
        'default = "weekdays"', 'default = «"weekday"»', "CX041", "did you mean `weekdays`?"
    ),
    "calendar by its name": Edit(
        "next_open(now, 'always')", "next_open(now, «'alway'»)", "CX036", "did you mean `always`?"
    ),
    "calendar that is a number": Edit(
        "next_open(now, 'always')", "next_open(now, «7»)", "CX036", "for example inputs.calendar"
    ),
    "business days as an age": Edit(
        FRESH, "business_age(feedback.submitted_at, inputs.calendar) < «'2 business_days'»", "CX036", "now > deadline("
    ),
    "days of open time": Edit(
        FRESH,
        "business_age(feedback.submitted_at, inputs.calendar) < «'2d'»",
        "CX036",
        "",
        "for days of work write '2 business_days'",
    ),
    "business time of a plain age": Edit(
        "age(feedback.submitted_at) < '30d'",
        "age(feedback.submitted_at) < «'4 business_hours'»",
        "CX036",
        "compare business_age(",
    ),
    "age without a calendar": Edit(
        FRESH,
        "«business_age(feedback.submitted_at)» < '80h'",
        "CX036",
        "",
        "`business_age` is written business_age(time, calendar)",
    ),
    "deadline without a calendar": Edit(
        DUE, "deadline(feedback.submitted_at, «'2 business_days'»)", "CX036", "name one: deadline("
    ),
    "deadline of days by a calendar": Edit(
        DUE, "deadline(feedback.submitted_at, «'2d'», inputs.calendar)", "CX036", "", "write '2 business_days'"
    ),
    "length that is none": Edit(DUE, "deadline(feedback.submitted_at, «'two days'»)", "CX036", "write for example"),
    "length that is a number": Edit(
        DUE, "deadline(feedback.submitted_at, «2», inputs.calendar)", "CX036", "", "not a number"
    ),
    "duration of an input": Edit(
        'default = "2 business_days"',
        'default = «"2 busy_days"»',
        "CX041",
        "",
        "is not a duration like 4h or 2 business_days",
    ),
    "business days of the window": Edit(
        'window   = "14d"',
        'window   = «"2 business_days"»',
        "CX014",
        "",
        "counts by a calendar, and there is none here",
    ),
    "zone": Edit("| day(inputs.calendar)", "| day(«'Europe/Berln'»)", "CX036", "write one like 'Europe/Berlin'"),
    "filter by another name": Edit("| day(inputs.calendar)", "| «strftime»('%d')", "CX036", "use date(form)"),
    "open without a time": Edit(STAFFED, "«is_open(inputs.calendar)»", "CX036", "", "is_open(time, calendar)"),
}

BANDS = {
    "band by its name": Edit(
        UNHAPPY, "or crossed(feedback.score_100, «'unhapy'»)\"", "CX036", "did you mean `unhappy`?"
    ),
    "band that is not there": Edit(
        UNHAPPY, "or crossed(feedback.score_100, «'red'»)\"", "CX036", "add a table [band.red]"
    ),
    "band without quotes": Edit(
        UNHAPPY, 'or crossed(feedback.score_100, «inputs.enter»)"', "CX036", "for example 'red'"
    ),
    "band of no field": Edit(
        UNHAPPY, "or crossed(«feedback», 'unhappy')\"", "CX036", "for example crossed(health.value, 'red')"
    ),
    "band of a word": Edit(UNHAPPY, "or «crossed(feedback.band, 'unhappy')»\"", "CX038", "", "is no number"),
    "band of somebody else": Edit(
        UNHAPPY, "or «crossed(account.health_score, 'unhappy')»\"", "CX038", "", "only the feedback has a history here"
    ),
    "ends the wrong way round": Edit(
        "leave     = 30", "leave     = «10»", "CX048", "swap `enter` and `leave`", "is left above where it is entered"
    ),
    "ends that are the same": Edit(
        '[band.angry]\nenter     = 20\nleave     = 30\ndirection = "falling"',
        "[band.«angry»]\nenter     = 20\nleave     = 20",
        "CX048",
        "add direction",
        "which way",
    ),
    "end that is no number": Edit("enter     = 20", 'enter     = «"low"»', "CX048", "for example 40"),
    "end of an input that there is not": Edit(
        'enter = "{{ inputs.enter }}"', 'enter = «"{{ inputs.entr }}"»', "CX048", "did you mean `enter`?"
    ),
    "end of an input that is no number": Edit(
        'enter = "{{ inputs.enter }}"',
        'enter = «"{{ inputs.calendar }}"»',
        "CX048",
        "",
        "the input `calendar` is a calendar",
    ),
    "direction": Edit('direction = "falling"', 'direction = «"down"»', "CX014", "", "'falling' or 'rising'"),
    "key of a band": Edit("leave     = 30", "leave     = 30\n«leav»      = 30", "CX012", "did you mean `leave`?"),
    "band without its end": Edit(
        "[band.angry]\nenter     = 20\nleave     = 30\n", "[band.«angry»]\nenter     = 20\n", "CX010", "add leave"
    ),
}

WINDOWS = {
    "kind of window": Edit(CALM, "not in_window(now, «'outge'»)", "CX036", "did you mean `outage`?"),
    "window without a time": Edit(CALM, "not «in_window()»", "CX036", "", "in_window(time, kind, product)"),
    "window that is called otherwise": Edit(CALM, "not «in_windows»(now)", "CX036", "did you mean `in_window`?"),
}

JUDGEMENTS = {
    "field of a judgement": Edit(
        "sentiment(feedback.verbatim, feedback.language).label",
        "«sentiment(feedback.verbatim, feedback.language).lable»",
        "CX021",
        "did you mean `label`?",
    ),
    "label that there is not": Edit(
        ".label == 'negative'", ".label == «'negativ'»", "CX022", "did you mean `negative`?"
    ),
    "score that is a text": Edit(
        ".label == 'negative'", ".score == «'low'»", "CX022", "", "is a number and never 'low'"
    ),
    "text that was forgotten": Edit(SPOKEN, "«language()» in", "CX036", "", "`language` is written language(text)"),
    "function by half its name": Edit(SPOKEN, "«lang»(feedback.verbatim) in", "CX036", "did you mean `language`?"),
}

EACH = {
    "field of an item": Edit("{{ item.subject }}", "{{ «item.subjct» }}", "CX021", "did you mean `item.subject`?"),
    "field of an item that has none": Edit(
        'for_each = "inputs.channels"\nwith     = { to = "{{ item }}"',
        'for_each = "ticket.tags"\nwith     = { to = "{{ «item.name» }}"',
        "CX021",
        "",
        "unknown field `item.name`",
    ),
    "item of a step without for_each": Edit(
        "{{ task.url }} (", "{{ «item.url» }} (", "CX021", "", "unknown name `item`"
    ),
    "for_each of a single value": Edit(
        'for_each = "inputs.channels"',
        'for_each = «"feedback.score"»',
        "CX049",
        "such as linked(",
        "and `feedback.score` is none",
    ),
    "for_each of a link": Edit(
        'do = "link"\n', 'do = "link"\n«for_each» = "inputs.channels"\n', "CX049", "", "`link` is done once"
    ),
    "batch without for_each": Edit(
        'do   = "survey.response.set"',
        'do   = "survey.response.set"\n«batch» = 5',
        "CX049",
        "",
        "there is no `for_each`",
    ),
    "batch of nothing": Edit("batch    = 10", "batch    = «0»", "CX014", "", "at least 1"),
    "relation of for_each": Edit(
        "for_each = \"linked(feedback, 'about')\"",
        "for_each = \"linked(feedback, «'abot'»)\"",
        "CX037",
        "did you mean `about`?",
    ),
    "result of several": Edit("({{ tell.count }})", "({{ «tell.cuont» }})", "CX021", "did you mean `tell.count`?"),
}

TESTS = {
    "relation that a test gives": Edit(
        "linked    = { about =", "linked    = { «abot» =", "CX037", "did you mean `about`?"
    ),
    "linked record that a test gives": Edit(
        'linked    = { about = [{ id = "zendesk/tickets/9", subject = "Export" }] }',
        'linked    = { about = «"x"» }',
        "CX045",
        "write about = [{",
    ),
    "earlier values that a test gives": Edit(
        "history   = { score_100 = [80, 60] }",
        "history   = { «score_10» = [80, 60] }",
        "CX021",
        "did you mean `score_100`?",
    ),
    "earlier value that a test gives": Edit(
        "history   = { score_100 = [80, 60] }",
        "history   = { score_100 = «80» }",
        "CX045",
        "write score_100 = [80, 62]",
    ),
    "judgement that a test gives": Edit(
        'sentiment = { label = "negative", score = -0.8, language = "en" }',
        'sentiment = «{ label = "negativ" }»',
        "CX045",
        "write sentiment = {",
    ),
    "window that a test gives": Edit(
        GIVEN_WINDOW,
        GIVEN_WINDOW.replace("[{", "[«{").replace('"outage"', '"outge"').replace("}]", "}»]"),
        "CX045",
        "",
        "no windows of the kind 'outge'",
    ),
    "window without a time": Edit(
        GIVEN_WINDOW,
        GIVEN_WINDOW.replace("[{", "[«{").replace(", from = 2026-05-06T08:00:00Z", "").replace("}]", "}»]"),
        "CX045",
        "",
        "`from` is a time with its zone",
    ),
    "count that is no count": Edit("tasks = 1,", "«taks» = 1,", "CX012", "did you mean `tasks`?"),
    "somebody who belongs to nobody": Edit("owner     = { name", "«assignee» = { name", "CX045", "there are"),
}

ALL = {
    f"{group}: {name}": edit
    for group, edits in {
        "nouns": NOUNS,
        "times": TIMES,
        "bands": BANDS,
        "windows": WINDOWS,
        "judgements": JUDGEMENTS,
        "each": EACH,
        "tests": TESTS,
    }.items()
    for name, edit in edits.items()
}
