"""The vendor-free heart of cxbridge; what belongs here knows no vendor and no command line.

            pull                         plan                        push
vendor ───────────▶ records · changes ───────────▶ runs · outbox ───────────▶ vendor
   ▲   webhook = nudge: "pull this stream now"         ▲ timers                  │
   └────────────────────────────── comes back as a change ◀──────────────────────┘

Three verbs, three commits. They meet only in the store: what a push causes comes back through the next pull.
A connector author reads `cxbridge.core.connector` and nothing else.
"""
