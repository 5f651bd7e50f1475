"""What words mean to somebody who is being served: our additions to, and corrections of, the VADER lexicon, written by hand.

Valences are on VADER's scale, -4 to 4. Words of which customers speak without judging (pain, emergency, problem) weigh less here
than in a general lexicon.
"""

from typing import Final

WORDS: Final[dict[str, float]] = {
    # how people were treated
    "approachable": 2.0, "attentive": 2.2, "attentiveness": 2.0, "accommodating": 1.8, "caring": 2.2, "cheerful": 2.0,
    "compassionate": 2.4, "considerate": 2.0, "courteous": 2.2, "dedicated": 1.8, "dignity": 1.4, "diligent": 1.8,
    "empathetic": 2.2, "friendly": 2.2, "hardworking": 2.0, "helpful": 2.1, "informative": 1.8, "informed": 1.0,
    "knowledgeable": 2.0, "listened": 1.8, "patience": 1.6, "personable": 1.8, "polite": 2.0, "politely": 2.0,
    "professional": 2.0, "professionally": 2.0, "professionalism": 2.0, "reassured": 2.0, "reassurance": 1.6,
    "respectful": 2.2, "respectfully": 2.0, "supportive": 2.0, "sympathetic": 1.8, "understanding": 1.4, "understood": 1.0,
    "welcoming": 2.2, "abrupt": -1.8, "arrogant": -2.4, "condescending": -2.6, "dismissed": -1.8, "dismissive": -2.2,
    "disrespectful": -2.6, "ignored": -2.2, "impersonal": -1.5, "inconsiderate": -2.0, "patronising": -2.4, "patronised": -2.2,
    "patronizing": -2.4, "rude": -2.8, "rudely": -2.6, "uncaring": -2.4, "unfriendly": -2.2, "unhelpful": -2.4,
    "unprofessional": -2.6, "unsympathetic": -2.0, "mistreated": -2.6, "shouted": -1.8, "argue": -1.0,
    # how fast it went
    "efficient": 2.0, "efficiently": 2.0, "efficiency": 1.8, "fast": 1.4, "immediate": 1.4, "immediately": 1.2, "instantly": 1.4,
    "prompt": 1.8, "promptly": 1.8, "promptness": 1.8, "punctual": 1.8, "punctuality": 1.2, "quick": 1.6, "quickly": 1.6,
    "responsive": 1.9, "speedy": 1.6, "timely": 1.6, "swift": 1.6, "delay": -1.6, "delays": -1.6, "delayed": -1.6, "late": -1.3,
    "lengthy": -1.2, "overdue": -1.6, "queue": -1.2, "queues": -1.2, "queued": -1.2, "slow": -1.8, "slowly": -1.2, "slower": -1.8,
    "wait": -1.1, "waits": -1.1, "waited": -1.3, "waiting": -1.2, "unanswered": -1.8, "understaffed": -1.8, "overcrowded": -1.8,
    "backlog": -1.3, "hang": -1.0, "rushed": -1.4, "chase": -1.2, "chasing": -1.4, "eventually": -0.8,
    # how well it went
    "adequate": 0.8, "advised": 0.5, "appreciate": 1.8, "appreciated": 1.8, "arranged": 0.6, "beneficial": 1.7, "brilliantly": 2.8,
    "clear": 1.0, "clearly": 1.0, "comfortable": 1.7, "comforting": 1.7, "consistent": 0.9, "delighted": 3.0, "easily": 1.3,
    "enjoyed": 2.2, "exceeded": 2.0, "exceptional": 2.8, "exceptionally": 2.2, "exemplary": 2.8, "explained": 1.0, "faultless": 3.0,
    "flawless": 3.0, "fixed": 1.0, "handled": 0.6, "helped": 1.6, "impeccable": 3.0, "impressed": 2.4, "intuitive": 2.0,
    "invaluable": 2.6, "marvellous": 2.8, "okay": 1.0, "outstanding": 3.0, "perfectly": 2.4, "phenomenal": 3.0, "pleased": 2.2,
    "recommend": 1.8, "recommended": 1.4, "reliable": 2.0, "resolved": 1.5, "satisfactory": 1.3, "seamless": 2.3,
    "seamlessly": 2.3, "smooth": 1.8, "smoothly": 1.8, "solved": 1.6, "sorted": 1.3, "spotless": 2.2, "straightforward": 1.5,
    "thorough": 1.8, "thoroughly": 1.6, "thanks": 1.6, "tidy": 1.3, "useful": 1.7, "varied": 0.8, "unbelievable": 0.5,
    "appalling": -3.0, "atrocious": -3.2, "bureaucratic": -1.4, "cancelled": -1.6, "canceled": -1.6, "chaos": -2.0,
    "chaotic": -2.0, "complicated": -1.2, "confused": -1.2, "confusing": -1.7, "contradictory": -1.5, "dirty": -2.2,
    "disappointing": -2.2, "disgraceful": -3.0, "disgusting": -3.0, "disorganised": -2.0, "disorganized": -2.0, "dreadful": -2.8,
    "excessive": -1.4, "expensive": -1.4, "failed": -2.0, "fails": -2.0, "farce": -2.4, "filthy": -2.8, "frustrated": -2.2,
    "frustrating": -2.3, "forgot": -1.4, "forgotten": -1.4, "hopeless": -2.4, "impossible": -1.6, "inaccurate": -1.6,
    "inadequate": -2.0, "incompetent": -2.8, "inconsistent": -1.7, "inconvenient": -1.4, "incorrect": -1.6, "incorrectly": -1.6,
    "inappropriate": -1.9, "ineffective": -1.8, "inefficient": -1.9, "insufficient": -1.6, "lack": -1.7, "lacked": -1.7,
    "lacking": -1.7, "lacks": -1.7, "loud": -1.3, "messed": -1.8, "misleading": -2.0, "missed": -1.3, "missing": -1.4,
    "misunderstood": -1.2, "noise": -1.3, "noisy": -1.7, "overpriced": -2.0, "poor": -2.3, "poorly": -1.2, "pointless": -2.2,
    "refusal": -1.6, "refused": -1.8, "refuses": -1.8, "ridiculous": -2.3, "scruffy": -1.4, "shambles": -2.6, "shocking": -2.6,
    "stressful": -1.9, "struggle": -1.3, "struggled": -1.4, "struggling": -1.3, "substandard": -2.2, "unable": -1.4,
    "unacceptable": -2.8, "unavailable": -1.5, "unclear": -1.5, "uncomfortable": -1.8, "unnecessary": -1.3, "unreliable": -2.0,
    "unsafe": -2.2, "unsatisfactory": -2.2, "unusable": -2.4, "upset": -1.6, "useless": -2.6, "waste": -1.8, "wasted": -1.8,
    "wrong": -1.9, "wrongly": -1.7, "draughty": -1.3, "cramped": -1.5, "bland": -1.3, "inedible": -2.4, "bumpy": -1.2,
    "overwhelming": -1.2, "neglected": -2.2, "unaware": -0.8, "unheard": -1.4, "unsupported": -1.5, "worsened": -1.6,
    # software and its suppliers
    "buggy": -2.2, "bug": -1.5, "bugs": -1.5, "broken": -2.0, "breaks": -1.5, "clunky": -1.8, "corrupted": -2.0, "crash": -2.0,
    "crashed": -2.2, "crashes": -2.2, "crashing": -2.2, "downtime": -1.8, "duplicate": -0.8, "error": -1.3, "errors": -1.4,
    "freezes": -1.8, "freezing": -1.4, "frozen": -1.2, "glitch": -1.6, "glitches": -1.6, "glitchy": -1.8, "lag": -1.4,
    "laggy": -1.8, "outage": -1.8, "outages": -1.8, "overcharged": -2.2, "refund": -0.8, "regression": -1.2, "timeout": -1.2,
    "timeouts": -1.4, "unresponsive": -2.0, "unstable": -1.8, "unusably": -2.4, "unresolved": -1.8, "unsolved": -1.6,
    "defective": -2.2, "faulty": -2.0, "flimsy": -1.8, "junk": -2.0, "malfunction": -1.8, "returned": -0.6, "scam": -3.0,
    # of which customers speak without judging
    "alone": 0.0, "anxiety": 0.0, "anxious": 0.0, "accident": 0.0, "blood": 0.0, "bless": 1.5, "cancer": 0.0, "care": 0.9,
    "cared": 1.8, "chance": 0.2, "concern": 0.0, "concerned": 0.0, "concerns": 0.0, "critical": 0.0, "cut": 0.0, "death": 0.0,
    "dementia": 0.0, "depressed": 0.0, "depression": 0.0, "died": -0.4, "disabled": 0.0, "distress": -0.3, "easier": 0.6,
    "emergency": 0.0, "fall": 0.0, "falling": 0.0, "fell": 0.0, "feeling": 0.0, "free": 0.3, "hand": 0.0, "health": 0.0,
    "healthy": 0.3, "help": 0.5, "helping": 1.0, "helps": 1.2, "ill": 0.0, "illness": 0.0, "important": 0.0, "injury": 0.0,
    "improve": 0.0, "improved": 1.0, "improvement": 0.0, "improvements": 0.0, "interest": 0.2, "interested": 0.4, "issue": -0.5,
    "issues": -0.5, "kind": 2.0, "leave": 0.0, "left": -0.4, "like": 0.5, "mental": 0.0, "number": 0.0, "pain": 0.0,
    "painful": -0.3, "patient": 0.0, "patients": 0.0, "play": 0.0, "please": 0.0, "pressure": 0.0, "problem": -0.5,
    "problems": -0.5, "question": 0.0, "questions": 0.0, "ready": 0.3, "respond": 0.0, "risk": 0.0, "secure": 0.0,
    "security": 0.0, "seriously": 0.0, "share": 0.2, "sick": 0.0, "stop": -0.3, "stopped": -0.2, "stress": -0.2, "suffering": -0.3,
    "suicidal": 0.0, "support": 0.6, "supported": 1.6, "trauma": 0.0, "treat": 0.0, "trouble": -0.4, "trust": 0.3, "value": 0.3,
    "want": 0.0, "well": 0.9, "worried": 0.0, "worry": 0.0, "worries": 0.0, "yes": 0.2, "no": -0.3, "unwell": 0.0,
}  # fmt: skip
