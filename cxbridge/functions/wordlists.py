"""Lists of words that the comparison of names rests on; data alone, in plain small letters."""

from typing import Final


def _listed(text: str, between: str | None = None) -> frozenset[str]:
    return frozenset(" ".join(one.split()) for one in text.split(between))


# What stands behind a company's name and says what sort of company it is.
LEGAL_FORMS: Final = _listed(
    """
    gmbh, gmbh co kg, gmbh co, mbh, gesmbh, ag, kg, kgaa, ohg, ug, ug haftungsbeschrankt, ev, eg, se, ltd, limited,
    private limited, pvt ltd, llc, llp, lp, plc, inc, incorporated, corp, corporation, company, co, co ltd, sa, sas,
    sasu, sarl, eurl, snc, spa, srl, srls, sl, slu, sa de cv, ltda, lda, bv, nv, vof, ab, as, asa, aps, oy, oyj, spzoo,
    sp zoo, sp z oo, spolka zoo, sro, doo, kft, zrt, pty, pty ltd, pte ltd, kk
    """,
    ",",
)
# Words that say too little to tell companies apart.
GENERIC: Final = _listed(
    """
    group holding holdings international global worldwide national services solutions systems technologies logistics
    transport distribution trading industries enterprises partners consulting associates brothers manufacturing supply
    foods software digital media energy health capital management europe germany france poland spain italy nordic north
    south east west uk us usa eu emea de fr pl es it
    """
)
# Where anybody may have an address.
FREEMAIL: Final = _listed(
    """
    gmail.com googlemail.com icloud.com me.com mac.com aol.com proton.me protonmail.com pm.me hey.com fastmail.com
    fastmail.fm tutanota.com tuta.io zoho.com mail.com email.com inbox.com usa.com rocketmail.com ymail.com hushmail.com
    web.de t-online.de freenet.de arcor.de mailbox.org posteo.de posteo.net 1und1.de online.de vodafone.de orange.fr
    wanadoo.fr free.fr laposte.net sfr.fr neuf.fr bbox.fr libero.it virgilio.it tiscali.it alice.it tin.it wp.pl o2.pl
    onet.pl interia.pl gazeta.pl op.pl seznam.cz centrum.cz email.cz ziggo.nl kpnmail.nl planet.nl home.nl telenet.be
    skynet.be bluewin.ch sunrise.ch hispeed.ch btinternet.com sky.com talktalk.net virginmedia.com ntlworld.com
    blueyonder.co.uk comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net earthlink.net
    juno.com optonline.net rogers.com shaw.ca sympatico.ca telus.net bigpond.com bigpond.net.au optusnet.com.au
    xtra.co.nz mail.ru bk.ru list.ru inbox.ru yandex.ru yandex.com ya.ru rambler.ru ukr.net qq.com 163.com 126.com
    yeah.net sina.com sohu.com foxmail.com naver.com hanmail.net daum.net rediffmail.com uol.com.br bol.com.br
    terra.com.br ig.com.br telia.com live.no online.no mailinator.com guerrillamail.com yopmail.com 10minutemail.com
    trashmail.com
    """
)
# The names of mailboxes behind which several people sit.
ROLES: Final = _listed(
    """
    info office contact kontakt mail hello hallo support help helpdesk service servicedesk sales vertrieb admin
    administrator postmaster webmaster billing invoice invoices accounts accounting buchhaltung rechnung finance hr jobs
    team everyone all noreply no-reply donotreply marketing press orders order purchasing einkauf it reception empfang
    """
)
