"""What phrases mean to somebody who is being served: patterns of whole words, read before the words of the lexicon.

"No complaints" praises and "too long" blames, whatever their words do alone. Written by hand, for English.
"""

from typing import Final

# Each with its valence on VADER's scale, -4 to 4. `#` stands for a number, written either way.
PHRASES: Final[tuple[tuple[str, float], ...]] = (
    # praise that a lexicon of words takes for blame, or does not see
    (
        (
            r"(?:can ?no|could ?n|can'?|could ?n'?|couldn'|do no|don'?|did ?n'?|would ?n'?)t (?:really |"
            r"possibly )?(?:fault|complain|ask(?:ed)? for|have (?:asked|wished|been|done|had|got)|be|get|do|"
            r"think of anything|think of any(?! other)|praise|thank|recommend)(?: (?:any ?)?(?:more|better|nicer|kinder|"
            r"improved))?"
        ),
        2.4,
    ),
    (r"could(?:n'?t| not) (?:have )?(?:been |do(?:ne)? )?(?:any ?)?(?:better|more|improved?)", 2.4),
    (
        (
            r"(?:no|any|without|zero|never (?:had )?(?:any|a)?) ?(?:real |major |other )?(?:complaints?|issues?|problems?|"
            r"faults?|trouble|concerns?|worries|improvements?(?: needed)?|bugs?|errors?|crash(?:es)?)"
        ),
        2.0,
    ),
    (
        (
            r"nothing (?:at all |really |else )?(?:to (?:improve|change|complain about|add|say|report|mention|fault|do)|"
            r"(?:could|can|would|needs?|need) (?:have )?(?:to )?(?:be(?:en)? )?(?:done |do )?(?:any ?)?(?:better|"
            r"improved?|improvement|improving|changed?|changing|more)|(?:was|is) (?:too much trouble|too much|a problem|"
            r"wrong)|wrong|bad|better|more(?: to)?|negative)"
        ),
        2.2,
    ),
    (r"too much trouble|no trouble", 2.0),
    (r"not (?:bad|too bad|a problem|an issue)", 1.2),
    (r"(?:did|do|does)(?: not|n'?t) (?:have to |need to )?wait (?:too |very |so |that )?(?:long|much)", 1.8),
    (r"(?:no|short|minimal|little|without) (?:wait|waiting|delays?|queues?)(?: times?)?", 1.6),
    (r"waiting (?:rooms?|areas?|lists?)", -0.2),
    (r"wait and see|waiting for me|waited (?:with|for) (?:me|us|him|her|them)", 0.6),
    (r"(?:as )?(?:quick|quickly|fast|soon) as possible", 0.6),
    (r"more than (?:happy|satisfied|helpful|pleased|willing|adequate|expected|enough)", 2.4),
    (
        (
            r"(?:better|more|quicker|faster|earlier|sooner|less|longer) than (?:i |we |was |you )?(?:expected|thought|"
            r"anticipated|hoped|usual|before|last time|imagined)"
        ),
        1.6,
    ),
    (
        (
            r"second to none|first class|first rate|top (?:class|notch|marks|quality)|top[- ]drawer|spot on|five stars?|"
            r"5 stars?|10/10|ten out of ten|world class|a\+"
        ),
        3.0,
    ),
    (r"above and beyond|went the extra mile|extra mile|out of (?:their|his|her|your) way", 3.0),
    (
        (
            r"at (?:my |our |his |her )?ease|looked after|taken care of|well done|well looked after|well treated|"
            r"treated (?:me |us |him |her )?(?:very |really |so )?well"
        ),
        2.0,
    ),
    (
        (
            r"(?:keep|carry|continue) (?:up|doing|it up|going|on|the same|what|with your)|solved|satisfactory|"
            r"there when needed"
        ),
        2.0,
    ),
    (
        (
            r"(?:doing|did|does|do|done) (?:a |an )?(?:very |really )?(?:good|great|amazing|brilliant|fantastic|excellent|"
            r"wonderful|fine) (?:job|work)"
        ),
        2.6,
    ),
    (r"(?:on|in good) time|straight away|right away|(?:ahead of|before) time|in no time|right first time", 1.6),
    (r"thank ?(?:you|u)|many thanks|thank god", 1.8),
    (
        (
            r"works? (?:well|great|perfectly|fine|flawlessly|as (?:expected|advertised|described))|running (?:smoothly|"
            r"as clockwork|like clockwork)|like clockwork"
        ),
        2.0,
    ),
    (
        (
            r"(?:made|make|makes) (?:me|us|you|him|her|them) feel (?:very |so |really |more |at )?(?:safe|welcome|"
            r"comfortable|relaxed|better|calm|ease|special|valued)"
        ),
        2.2,
    ),
    (
        (
            r"(?:felt|feel|feeling) (?:very |so |really |much )?(?:safe|supported|heard|listened to|valued|cared for|"
            r"better|confident|welcome)"
        ),
        1.8,
    ),
    (
        (
            r"kept (?:me |us |him |her |them )?(?:well |fully |very |up[- ]to[- ]date and )?(?:informed|updated|"
            r"up[- ]to[- ]date)|kept in the loop"
        ),
        1.6,
    ),
    (
        (
            r"all (?:was |is |went )?(?:good|fine|ok|okay|well|great|perfect)|everything (?:was |is |went |"
            r"has been )?(?:very |just |all |really )?(?:good|fine|ok|okay|well|great|perfect|excellent|brilliant|"
            r"smoothly)|(?:happy|satisfied|pleased) with (?:everything|it all|all)"
        ),
        2.4,
    ),
    (r"everything you (?:do|did)|all of it|everything$", 0.8),
    (r"always (?:been )?(?:there|available|willing|on hand|ready)", 1.6),
    (r"without (?:a |any )?(?:fuss|hesitation|doubt|judgement|judgment)", 1.0),
    (r"(?:fine|good|happy|great|perfect|ok) (?:as|the way) (?:it|they|things) (?:is|are|was|were)", 2.0),
    (r"not (?:their|your|the staff'?s?|his|her|anyone'?s) fault|(?:no|not) fault of", 0.2),
    # words that mean nothing here
    (
        (
            r"(?:some|any|this|that|what|these|those|a|all) kinds? of|in need of|if (?:i|we) need(?:ed)?|without (?:this|"
            r"your|the|patient|them|it) \w+|in (?:great |a lot of |so much |extreme )?pain"
        ),
        0.0,
    ),
    (r"(?:it|that)(?:'s| is| was) (?:true|right|correct|the truth)", 0.0),
    # blame that a lexicon of words does not see
    (r"nothing (?:works|worked|helps|helped|happens|happened|gets done|has changed|changes)", -2.2),
    (
        (
            r"(?:much |far |way |a bit |a little )?(?:too|to) (?:long|late|slow|many|few|small|loud|hot|cold|expensive|"
            r"busy|far|short|much|high|hard|often|early|big|dark|complicated|soft|noisy|little)"
        ),
        -1.9,
    ),
    (
        (
            r"(?:took|takes|taking|take|waited|waiting|wait|on hold|held|queue|queued|sat|lasted)(?: \w+){0,4} (?:#|"
            r"several|many|few|couple of|long|half an?) ?(?:and a half |/\d )?(?:\+ )?(?:hours?|hrs?|weeks?|months?|"
            r"years?|days?|mins?|minutes?|time|while|ages)(?: wait)?"
        ),
        -2.0,
    ),
    (
        (
            r"(?:#|several|many|long|lengthy)(?: ?(?:-|\+|/\d|and a half))? ?(?:hours?|hrs?|weeks?|months?|years?|days?|"
            r"mins?|minutes?)?'? ?(?:waits?|waiting|delays?|queue)(?: times?)?(?! list)"
        ),
        -2.2,
    ),
    (r"wait(?:ing)? times?|waiting list|response times?|time scales?", -1.0),
    (r"still (?:waiting|not|no|have(?:n'?t| not)|has(?:n'?t| not)|does(?:n'?t| not)|wait)", -1.9),
    (r"not (?:nearly |good |quite )?enough|never enough|nowhere near", -1.8),
    (
        (
            r"no(?:body| one|-one) (?:\w+ ){0,2}(?:called|calls|answered|answers|answering|answer|came|told|tells|knew|"
            r"knows|replied|responded|listens?|listened|cares?|cared|seems?|bothered|helped|explained|rang|contacted)"
        ),
        -2.3,
    ),
    (
        (
            r"(?:did|do|does|was|were|is|are|has|have|had)(?: not|n'?t|nt) (?:been )?(?:\w+ ly )?(?:work|working|help|"
            r"helping|helped|listen|listened|listening|answer|answered|care|happen|explain|explained|told|informed|arrive|"
            r"turn up|show up|call|called|phone|ring|reply|respond|understand|get|got|give|given|know|come|receive|"
            r"received|available|kept|bother|communicate|offer|offered|provide|provided|seen|taken|made|pick up)"
        ),
        -1.9,
    ),
    (
        (
            r"(?:can ?not|can'?t|cant|could ?n'?t|could not|unable to|never|impossible to|hard to|difficult to|failed to|"
            r"fails to|struggled to) (?:get|reach|contact|speak|talk|see|find|use|open|log|connect|access|sleep|answer|"
            r"hear|understand|book|be seen|got|received|heard|called|came|answered|arrived|offered|told|explained|turned|"
            r"showed|listened)"
        ),
        -1.9,
    ),
    (r"(?:get|got|getting) (?:through|hold of|an? (?:appointment|answer|reply))", -0.6),
    (
        (
            r"hung up|gave up|given up|fobbed off|passed (?:around|from|on to)|let (?:me |us |him |her |them )?down|"
            r"left (?:waiting|alone|in|without|on|for)|no record|told (?:me|us|him|her) (?:off|to go)|lied to"
        ),
        -2.2,
    ),
    (
        (
            r"no (?:help|staff|reply|answer|response|support|communication|information|contact|empathy|compassion|"
            r"follow[- ]up|continuity|privacy|apology|explanation|care|choice|consistency|one|warning|idea|sense|use|"
            r"interest|respect|time for)"
        ),
        -1.9,
    ),
    (
        (
            r"short[- ]?staffed|short of staff|staff shortages?|over[- ]?worked|under[- ]?staffed|low staff(?:ing)?|"
            r"run down|worn out"
        ),
        -1.6,
    ),
    (
        (
            r"lack of|shortage of|absence of|poor quality|waste of (?:time|money)|nightmare|last resort|out of date|"
            r"out of order"
        ),
        -2.0,
    ),
    (
        (
            r"not (?:very |so |really |that |too |particularly |at all )?(?:good|great|helpful|happy|impressed|satisfied|"
            r"clear|nice|friendly|well|acceptable|right|easy|comfortable|working|professional|fair|safe|ideal|pleasant|ok|"
            r"okay|kind|clean|useful|worth|long enough)"
        ),
        -2.2,
    ),
    (
        (
            r"(?:had|have|having|has) to (?:wait|ask|chase|ring|call|phone|buy|pay|explain|repeat|go|take|keep|remind|beg|"
            r"cancel|return|reboot|restart|find|get)"
        ),
        -1.2,
    ),
    (
        (
            r"(?:only|main|one|just) (?:thing|issue|problem|complaint|negative|criticism|downside|gripe|"
            r"concern)(?: (?:was|is|i|that|wrong|would))?"
        ),
        -1.4,
    ),
    (r"(?:except|apart from|other than|aside from)(?: (?:the|that|for))?", -0.9),
    (
        (
            r"could(?: have|'ve|ve| of) (?:been )?(?:\w+ )?(?:better|quicker|sooner|faster|improved|clearer|explained|"
            r"told|more|done|had|given|kept|warned|waited|warmer|easier)"
        ),
        -1.7,
    ),
    (
        (
            r"(?:i )?(?:would|do|will) (?:not|never|n't) (?:recommend|use|buy|return|come back|go back|go there)|(?:wo|"
            r"would|do)n'?t (?:recommend|buy|use|return|bother)"
        ),
        -2.8,
    ),
    (
        (
            r"stopped working|stop working|quit working|died (?:after|on)|fell apart|sent it back|returned it|"
            r"does nothing|doesn'?t do"
        ),
        -2.4,
    ),
    (
        (
            r"room for improvement|not up to|below (?:par|standard)|not what i|far from|leaves? a lot to|needs? improv\w+"
        ),
        -1.8,
    ),
    (
        (
            r"(?:was|were|is|are|felt|feel|been) (?:treated|spoken to|talked) (?:like|as if|with no|badly|poorly|"
            r"unfairly)|spoken down to|talked down to|treated badly|treated unfairly"
        ),
        -2.4,
    ),
    (
        (
            r"contact(?:ed)? (?:you|them) (?:several|many|#) times|(?:second|third|fourth|#) times? (?:i|we) (?:have|had|"
            r"called|asked|wrote)|yet again|time and again|once again|again and again"
        ),
        -1.5,
    ),
)

# Clauses that ask for something to be different: they blame without a bad word, and their good words name what is not there.
WISHES: Final = (
    r"\b(?:should(?: not|n'?t)?(?: have| of)?|ought to|need(?:s|ed)? (?:to|more|a|an|better|improv\w+|some)|(?:is|are|"
    r"more) \w+ needed|could (?:be|do with|use|improve|perhaps|maybe|possibly|you|we|they|have been|have had|have done|"
    r"have got|have given|\w+ \w* ?(?:better|more))|(?:would|'d|will) (?:be|have been) (?:\w+ )?(?:nice|better|good|"
    r"helpful|great|useful|beneficial|preferable|easier|appreciated|ideal|lovely|handy|welcome)|(?:would|'d) (?:really |"
    r"also |have )?(?:like[d]?|love[d]?|prefer(?:red)?|appreciate[d]?|help(?:ed)?|benefit(?:ed)?|suggest|"
    r"welcome[d]?)(?! to (?:thank|say|express|add|recommend))|(?:i|we|just|only) (?:do )?wish|if only|ideally|"
    r"instead of|rather than|(?:was|were|am) (?:hoping|expecting)|may (?:of|have) helped|(?:answer|call|call back|"
    r"respond|arriv|com|pick)\w*(?: \w+){0,3} (?:more )?(?:quick(?:er|ly)|faster|sooner|earlier)(?! than)|(?:be|being|"
    r"get|have|had|with|want(?:ed)?|do|to) (?:a (?:bit|little|lot) |much |some |even )?(?:more|better|quicker|faster|"
    r"sooner|clearer|easier|cheaper|quieter|shorter|longer|bigger|nicer|warmer|healthier|extra|fewer|less|additional|"
    r"earlier|softer|stronger|smaller|larger|kinder|friendlier|cleaner|closer|simpler|improved?|improving|improvements?|"
    r"different|proper))\b"
)

# The same without a verb: how a clause begins that says no more than what should be different.
FRAGMENTS: Final = (
    r"(?:the|a|an|just|maybe|perhaps|possibly|probably|as said previously|only|some|even|and|or|bit|little|lot|lots|of|"
    r"have|having|got|get|with|much|slightly|yes|if possible|\W)*\b(?:more|better|quicker|faster|sooner|clearer|easier|"
    r"cheaper|quieter|shorter|longer|bigger|nicer|warmer|healthier|extra|fewer|less|additional|earlier|softer|stronger|"
    r"smaller|larger|kinder|friendlier|cleaner|closer|simpler|improved?|improving|improvements?|different|"
    r"proper)\b(?! than| or less| importantly)"
)

# The same as an order.
IMPERATIVES: Final = (
    r"(?:please |just |maybe |perhaps |possibly |probably |if possible,? |actually |definitely |also |to |and |"
    r"not |try to |yes,? |by |when(?:ever)? possible,? |where possible,? |\W)*(?:add|allow|answer|arrange|ask|avoid|be|"
    r"believe|bring|check|clean|communicate|cut|don'?t|do not|employ|ensure|explain|fix|give|hire|improve|increase|"
    r"inform|introduce|invest|let|letting|listen|look (?:at|into)|make sure|make the|offer|pay|phone|provide|reduce|"
    r"remove|review|ring|send|show|sort|speak|speed up|stick to|take|tell|train|treat|try|turn|update|work on|employing|"
    r"stop|find|shorten|call|get|insist|double check)\b"
)

# Said of everything at once: there is nothing to be made better.
PERFECT: Final = (
    r"(?:nothing|no ?thing|not (?:much|a lot|anything)|anything|can ?not|can'?t|cant|couldn'?t|could ?not|do(?:n'?t|"
    r" not) (?:think|feel|believe|see)|no (?:way|reason|need|room|change))\b[^.!?]{0,60}\b(?:better|improv\w*|"
    r"differently|more|changed?|necessary|perfection|fault(?:ed)?|complain(?:t|ts)?|trouble)\b(?! (?:staff|staffing|"
    r"when|if|because|unless))"
)

# The whole of an answer that says that there is nothing to say.
NOTHING_TO_SAY: Final = (
    r"(?:no(?:thing|ne|pe|t much|t a lot| more| comments?| complaints?| problems?| issues?| improvements?| suggestions?|"
    r")?|nil|zero|nowt)(?: (?:at all|really|much|else|more|comes to mind|springs to mind|i can think of|"
    r"that i can think of|needed|required|so far|to add|to say|specific|particular|in particular))*|(?:absolutely|"
    r"really|honestly|literally) nothing(?: at all)?|not (?:very much|much|a lot|anything|really)|"
    r"(?:for me,? )?nothing(?: for (?:me|my case))?|(?:i )?(?:can ?not|can'?t|cant|couldn'?t) (?:really )?(?:think of|"
    r"see) (?:anything|any|a thing)(?: (?:at (?:the|this) moment|at present|else|really|right now))?"
)

# The whole of an answer that is none.
NO_ANSWER: Final = (
    r"n ?/? ?a|not applicable|(?:i )?(?:do ?n'?t|dont|do not) (?:really )?know|(?:i'?m )?not (?:sure|relevant|known|"
    r"certain)|unsure|no (?:comments?|opinion|idea|answer|reply)|pass|(?:i )?(?:can ?not|can'?t|cant) (?:remember|say|"
    r"comment|recall)|(?:did|do)(?: not|n'?t) (?:use|answer|know|remember)|as above|see above|same(?: as)?(?: above)?|"
    r"yes|test|[?.\-–x*]+|idk|dunno|neither|unknown|other|note?"
)

# What a question asks for: what was wrong …
ASKS_FOR_BLAME: Final = (
    r"improv|better|chang(?:e|ed) |differently|dissatisf|dislike|wrong|frustrat|disappoint|missing|suggest|worst|least|"
    r"not like|reason for your low"
)

# … or what was right.
ASKS_FOR_PRAISE: Final = (
    r"\bgood\b|\bwell\b|\bbest\b|\blike(?:d)? (?:most|best|about)|\benjoy|positive|\bgreat\b|\bpleased\b|most satisf|"
    r"value most"
)
