"""A made-up customer base as four systems hold it, with the truth beside it: who is who is the first column.

Names are near-duplicates of each other, domains are shared by several or belong to a freemail provider, two companies merged,
ids are missing, short or somebody else's. Nothing here is a real company or person.
"""

import random
from dataclasses import dataclass

from cxbridge.core.canonical import Account, Contact
from cxbridge.core.ledger import Ref

STREAMS = {"zendesk": "organizations", "gainsight": "companies", "jira": "organizations", "qualtrics": "accounts"}
PEOPLE = {"zendesk": "users", "gainsight": "persons", "jira": "users", "qualtrics": "contacts"}

# truth | connection | own id | name | ids given by others | domains | region
ACCOUNTS = """
kestrel      | zendesk   | 90010001 | Kestrel Freight Group            | HL-1001 | kestrelfreight.test kestrel-group.example | UK
kestrel      | gainsight | 1P02A001 | Kestrel Freight Group Ltd.       | HL-1001 | kestrelfreight.test                       | UK
kestrel      | jira      | 11       | Kestrel Freight                  |         |                                           |
kestrel      | qualtrics | HL-1001  | Kestrel Freight Grp              |         | kestrelfreight.test                       |
kestrelair   | zendesk   | 90010002 | Kestrel Air Cargo                | HL-2001 | kestrelair.test                           | UK
kestrelair   | gainsight | 1P02A002 | Kestrel Air Cargo Limited        | HL-2001 | kestrelair.test                           | UK
kestrelair   | qualtrics | HL-2001  | Kestrel Air Cargo                |         |                                           |
nordhafen    | zendesk   | 90010008 | Nordhafen Logistik AG            | HL-1008 | nordhafen.example                         | DE
nordhafen    | gainsight | 1P02A008 | Nordhafen Logistik Aktiengesellschaft | HL-1008 | nordhafen.example                    | DE
nordhafen    | jira      | 12       | Nordhafen Logistik               |         |                                           |
nordhafen    | qualtrics | q-8      | NORDHAFEN LOGISTIK AG            | HL-1008 |                                           |
nordhafenree | zendesk   | 90010009 | Nordhafen Reederei GmbH          | HL-1009 | nordhafen-reederei.example                | DE
nordhafenree | gainsight | 1P02A009 | Nordhafen Reederei               | HL-1009 | nordhafen-reederei.example                | DE
nordhafenree | jira      | 13       | Nordhafen Reederei GmbH          |         |                                           |
aldermoor    | zendesk   | 90010015 | Aldermoor Cold Chain             | HL-1015 | aldermoor.test brightwater.test           | UK
aldermoor    | gainsight | 1P02A015 | Aldermoor Cold Chain plc         | HL-1015 | aldermoor.test                            | UK
aldermoor    | jira      | 14       | Aldermoor Coldchain              |         |                                           |
aldermoor    | qualtrics | HL-1015  | Aldermoor Cold Chain             |         | aldermoor.test                            |
brightwater  | gainsight | 1P02A016 | Brightwater Cold Storage Ltd     | HL-1016 | brightwater.test                          | UK
brightwater  | qualtrics | HL-1016  | Brightwater Cold Storage         |         | brightwater.test                          |
belcourt     | zendesk   | 90010022 | Transports Belcourt              | HL-1022 | belcourt.example                          | FR
belcourt     | gainsight | 1P02A022 | Transports Belcourt SAS          | HL-1022 | belcourt.example                          | FR
belcourt     | jira      | 15       | Belcourt Transports              |         |                                           |
belcourt     | qualtrics | bel      | Belcourt                         |         | belcourt.example                          |
belcourtvin  | zendesk   | 90010023 | Domaine Belcourt Vins            | HL-1023 | domaine-belcourt.example                  | FR
belcourtvin  | gainsight | 1P02A023 | Domaine Belcourt                 | HL-1023 |                                           | FR
crestline    | zendesk   | 90010029 | Pacific Crestline Distribution   | HL-1029 | crestline.test                            | US
crestline    | gainsight | 1P02A029 | Pacific Crestline Distribution Inc | HL-1029 | crestline.test                          | US
crestline    | jira      | 16       | Pacific Crestline Dist.          |         |                                           |
crestline    | qualtrics | q-29     | Pacific Crestline                |         | crestline.test                            |
almaden      | zendesk   | 90010036 | Grupo Almadén Transporte         | HL-1036 | almaden-transporte.example                | ES
almaden      | gainsight | 1P02A036 | Grupo Almaden Transporte S.A.    |         | almaden-transporte.example                | ES
almaden      | jira      | 17       | Grupo Almadén                    |         |                                           |
almaden      | qualtrics | HL-1036  | Almaden Transporte               |         |                                           |
wisla        | zendesk   | 90010043 | Wisła Cargo                      | HL-1043 | wislacargo.test                           | PL
wisla        | gainsight | 1P02A043 | Wisla Cargo Sp. z o.o.           | HL-1043 | wislacargo.test                           | PL
wisla        | jira      | 18       | WISLA CARGO                      |         |                                           |
wisla        | qualtrics | q-43     | Wisla Cargo sp. z o. o.          |         | wislacargo.test                           |
harrow       | zendesk   | 90010050 | Harrow & Finch Grocers           | HL-1050 | harrowfinch.test                          | UK
harrow       | gainsight | 1P02A050 | Harrow and Finch Grocers Limited |         | harrowfinch.test                          | UK
harrow       | jira      | 19       | Harrow + Finch                   |         |                                           |
harrow       | qualtrics | q-50     | HFG                              | HL-1050 | harrowfinch.test                          |
bluebottle   | zendesk   | 90010057 | Bluebottle Parcel Network        | HL-1057 | bluebottleparcel.example                  | AU
bluebottle   | gainsight | 1P02A057 | Bluebottle Parcel Network Pty Ltd | HL-1057 |                                          | AU
bluebottle   | jira      | 20       | Blue Bottle Parcel Network       |         |                                           |
bluebottlecof| zendesk   | 90010058 | Bluebottle Coffee                | HL-1058 | bluebottlecoffee.example                  | AU
bluebottlecof| gainsight | 1P02A058 | Bluebottle Coffee Pty            | HL-1058 | bluebottlecoffee.example                  | AU
sorlandet    | zendesk   | 90010064 | Sørlandet Fisk & Frakt           | HL-1064 | sorlandetfrakt.test                       | NO
sorlandet    | gainsight | 1P02A064 | Sorlandet Fisk og Frakt AS       | HL-1064 | sorlandetfrakt.test                       | NO
sorlandet    | jira      | 21       | Sørlandet Fisk                   |         |                                           |
sorlandet    | qualtrics | HL-1064  | Sørlandet Fisk & Frakt A/S       |         |                                           |
monarch      | zendesk   | 90010071 | Monarch Tire Supply              | HL-1071 | monarchtire.example                       | US
monarch      | gainsight | 1P02A071 | Monarch Tyre Supply, LLC         |         | monarchtire.example                       | US
monarch      | jira      | 22       | Monarch Tire                     |         |                                           |
oakhurst     | zendesk   | 90010078 | Oakhurst Haulage                 | HL-1078 | oakhursthaulage.test                      | UK
oakhurst     | gainsight | 1P02A078 | Oakhurst Haulage Ltd             | 0013000000AbCdE HL-1078 | oakhursthaulage.test      | UK
oakhurst     | qualtrics | q-78     | Oakhurst Haulage Limited         | 0013000000AbCdEAAV |                                |
oakhurstlog  | gainsight | 1P02A079 | Oakhurst Logistics               | 0013000000aBcDe | oakhurst-logistics.test           | UK
oakhurstlog  | qualtrics | q-79     | Oakhurst Logistics               | 0013000000aBcDeAKK |                                |
lindenberg   | zendesk   | 90010085 | Lindenberg Getränke Spedition    | HL-1085 | lindenberg-spedition.example              | DE
lindenberg   | gainsight | 1P02A085 | Lindenberg Getraenkespedition GmbH & Co. KG | HL-1085 | lindenberg-spedition.example   | DE
lindenberg   | jira      | 23       | Lindenberg Getränke              |         |                                           |
perrault     | zendesk   | 90010092 | Maison Perrault Vins             | HL-1092 | maisonperrault.example                    | FR
perrault     | gainsight | 1P02A092 | Maison Perrault                  | HL-1092 | maisonperrault.example                    | FR
perrault     | qualtrics | HL-1092  | Perrault Vins                    |         |                                           |
threerivers  | zendesk   | 90010099 | Three Rivers Furniture Delivery  | HL-1099 | threeriversfurniture.test                 | US
threerivers  | gainsight | 1P02A099 | Three Rivers Furniture Delivery Co. | HL-1099 |                                        | US
threerivers  | jira      | 24       | 3 Rivers Furniture Delivery      |         |                                           |
threerivbank | gainsight | 1P02A100 | Three Rivers Savings Bank        | HL-1100 | threeriversbank.test                      | US
threerivbank | jira      | 25       | Three Rivers Bank                |         |                                           |
cobalt       | zendesk   | 90010106 | Cobalt Bay Marine Parts          | HL-1106 | cobaltbay.example                         | US
cobalt       | gainsight | 1P02A106 | Cobalt Bay Marine Parts Corp     | HL-1106 | cobaltbay.example                         | US
cobalt       | qualtrics | q-106    | Cobalt Bay                       |         | cobaltbay.example                         |
szybki       | zendesk   | 90010113 | Szybki Magazyn                   | HL-1113 | szybkimagazyn.test                        | PL
szybki       | gainsight | 1P02A113 | Szybki Magazyn Sp. z o.o.        |         | szybkimagazyn.test                        | PL
szybki       | jira      | 26       | Szybki Magazin                   |         |                                           |
huertas      | zendesk   | 90010120 | Huertas del Sur                  | HL-1120 | huertasdelsur.example                     | ES
huertas      | gainsight | 1P02A120 | Huertas del Sur, S.L.            | HL-1120 |                                           | ES
huertas      | qualtrics | q-120    | Huertas Sur                      |         | huertasdelsur.example                     |
tamarind     | zendesk   | 90010127 | Tamarind Spice Importers         | HL-1127 | tamarindspice.test                        | UK
tamarind     | gainsight | 1P02A127 | Tamarind Spice Importers Ltd     | HL-1127 | tamarindspice.test                        | UK
tamarind     | jira      | 27       | Tamarind Spices                  |         |                                           |
pedal        | zendesk   | 90010134 | Pedal & Post Couriers            | HL-1134 | pedalandpost.test gmail.com               | UK
pedal        | gainsight | 1P02A134 | Pedal and Post Couriers          | HL-1134 | gmail.com                                 | UK
pedal        | qualtrics | HL-1134  | Pedal & Post                     |         | gmail.com                                 |
ropewalk     | zendesk   | 90010135 | Ropewalk Antiques                |         | gmail.com                                 | UK
ropewalk     | gainsight | 1P02A135 | Ropewalk Antiques                |         | gmail.com                                 | UK
cedarhill    | qualtrics | q-136    | Cedar Hill Joinery               |         | gmail.com                                 |
greywater    | zendesk   | 90010141 | Greywater Brewing Co.            | HL-1141 | greywaterbrewing.example                  | US
greywater    | gainsight | 1P02A141 | Greywater Brewing Company        | HL-1141 | greywaterbrewing.example                  | US
greywater    | jira      | 28       | Greywater Brewing                |         |                                           |
secondch     | zendesk   | 90010148 | Second Chapter Books             | HL-1148 | secondchapterbooks.test                   | UK
secondch     | gainsight | 1P02A148 | Second Chapter Booksellers Ltd   | HL-1148 |                                           | UK
secondch     | qualtrics | HL-1148  | 2nd Chapter Books                |         |                                           |
fern         | zendesk   | 90010155 | Fern Hollow Nursery              | HL-1155 | fernhollow.example                        | UK
fern         | gainsight | 1P02A155 | Fernhollow Nursery               |         | fernhollow.example                        | UK
fern         | jira      | 29       | Fern Hollow                      |         |                                           |
dunmore      | zendesk   | 90010162 | Dunmore Removals                 | HL-1162 | dunmoreremovals.test                      | UK
dunmore      | gainsight | 1P02A162 | Dunmore Removals Ltd             | HL-1162 | dunmoreremovals.test                      | UK
dunmore      | jira      | 30       | Dunmore Removal                  |         |                                           |
mueller1     | zendesk   | 90010201 | Müller Maschinenbau GmbH         | DE-20001 | mueller-maschinenbau.example             | DE
mueller1     | gainsight | 1P02A201 | Mueller Maschinenbau             | DE-20001 | mueller-maschinenbau.example             | DE
mueller1     | jira      | 31       | Muller Maschinenbau              |         |                                           |
mueller1     | qualtrics | q-201    | Müller Maschinenbau GmbH         |         | mueller-maschinenbau.example              |
mueller2     | zendesk   | 90010202 | Müller Metallbau GmbH            | DE-20002 | mueller-metallbau.example                | DE
mueller2     | gainsight | 1P02A202 | Müller Metallbau                 | DE-20002 | mueller-metallbau.example                | DE
mueller2     | jira      | 32       | Müller Metallbau                 |         |                                           |
mueller3     | gainsight | 1P02A203 | Möller Metallbau GmbH            | DE-20003 | moeller-metallbau.example                | DE
mueller3     | qualtrics | q-203    | Moeller Metallbau                |         | moeller-metallbau.example                 |
alpha        | zendesk   | 90010210 | Alpha Logistics                  | HL-1210 | alphalogistics.test                       | US
alpha        | gainsight | 1P02A210 | Alpha Logistics LLC              | HL-1210 | alphalogistics.test                       | US
alpine       | zendesk   | 90010211 | Alpine Logistics                 | HL-1211 | alpinelogistics.test                      | CH
alpine       | gainsight | 1P02A211 | Alpine Logistics AG              | HL-1211 | alpinelogistics.test                      | CH
alpine       | jira      | 33       | Alpine Logistik                  |         |                                           |
ibx          | zendesk   | 90010220 | International Barge Exchange     | HL-1220 | ibx.example                               | NL
ibx          | gainsight | 1P02A220 | IBE                              | HL-1220 |                                           | NL
ibx          | jira      | 34       | Intl. Barge Exchange             |         |                                           |
ibx          | qualtrics | q-220    | International Barge Exchange B.V. |        | ibx.example                               |
reseller1    | zendesk   | 90010230 | Marlow Bakeries                  | HL-1230 | managed-by-copperleaf.test                | UK
reseller1    | gainsight | 1P02A230 | Marlow Bakeries Ltd              | HL-1230 | managed-by-copperleaf.test                | UK
reseller1    | jira      | 35       | Marlow Bakeries                  |         |                                           |
reseller2    | zendesk   | 90010231 | Stonebridge Dental               | HL-1231 | managed-by-copperleaf.test                | UK
reseller2    | gainsight | 1P02A231 | Stonebridge Dental Care          | HL-1231 | managed-by-copperleaf.test                | UK
reseller3    | zendesk   | 90010232 | Copperleaf IT                    |         | managed-by-copperleaf.test copperleaf.test | UK
reseller3    | qualtrics | q-232    | Copperleaf                       |         | managed-by-copperleaf.test                |
hillgroup1   | zendesk   | 90010240 | Hill Ventures Consulting         | HL-1240 | hillgroup.test                            | UK
hillgroup2   | gainsight | 1P02A241 | Quarrystone Property             | HL-1241 | hillgroup.test                            | UK
tidewater1   | zendesk   | 90010242 | Tidewater Ferries North          | HL-1242 | tidewater.test                            | UK
tidewater2   | gainsight | 1P02A243 | Tidewater Ferries South          | HL-1243 | tidewater.test                            | UK
tidewater0   | qualtrics | q-242    | Tidewater Ferries                |         | tidewater.test                            |
numbers1     | zendesk   | 90010250 | Larkspur Optics                  | 11      | larkspuroptics.test                       | UK
numbers2     | zendesk   | 90010251 | Juniper Tools                    | 1042    | junipertools.test                         | US
numbers3     | qualtrics | 1042     | Emberley Textiles                |         |                                           |
fusion       | zendesk   | 90010260 | Rookwood Saltmarsh Partners      |         | rookwood.test saltmarsh.test              | UK
rookwood     | gainsight | 1P02A261 | Rookwood Timber Partners         |         | rookwood.test                             | UK
rookwood     | qualtrics | q-261    | Rookwood Timber                  |         | rookwood.test                             |
saltmarsh    | gainsight | 1P02A262 | Saltmarsh Timber Partners        |         | saltmarsh.test                            | UK
vesta        | zendesk   | 90010270 | Vesta Insurance Services         | HL-1270 | vesta.example                             | IT
vesta        | gainsight | 1P02A270 | Vesta Assicurazioni S.p.A.       | HL-1270 | vesta.example                             | IT
vesta        | qualtrics | q-270    | Vesta                            |         | vesta.example                             |
orrin        | zendesk   | 90010280 | Orrin Glassworks                 |         |                                           |
orrin        | gainsight | 1P02A280 | Orrin Glassworks Inc.            |         |                                           |
orrin        | jira      | 36       | Orrin Glass Works                |         |                                           |
penrose      | zendesk   | 90010290 | Penrose Biotech                  |         | penrosebio.test                           | IE
penrose      | gainsight | 1P02A290 | Penrose Biotechnology Ltd        |         |                                           | IE
penrose      | qualtrics | q-290    | Penrose Bio-Tech                 |         | penrosebio.test                           |
sundial      | zendesk   | 90010300 | Sundial Energy Solutions         | N/A     | sundial-energy.example                    | US
sundial      | gainsight | 1P02A300 | Sundial Energy                   | 90010300 | sundial-energy.example                   | US
sundial      | jira      | 37       | Sundial Energy Solutions         |         |                                           |
thornby      | zendesk   | 90010310 | Thornby Clinics                  | n/a     |                                           | UK
thornby      | gainsight | 1P02A310 | Thornby Clinics Group            | none    | thornbyclinics.test                       | UK
"""

# truth | connection | own id | name | addresses | ids given by others
CONTACTS = """
mia      | zendesk   | 5001 | Mia Lee              | mia.lee@kestrelfreight.test                      |
mia      | gainsight | p-1  | Lee, Mia             | Mia.Lee@KestrelFreight.test                      |
mia      | qualtrics | c-1  | Mia Lee              | mia.lee@kestrelfreight.test                      |
jorg     | zendesk   | 5002 | Jörg Müller          | j.mueller@mueller-maschinenbau.example           |
jorg     | gainsight | p-2  | Dr. Joerg Mueller    | joerg.mueller@mueller-maschinenbau.example       |
jorg     | qualtrics | c-2  | Jörg Müller          | j.mueller@mueller-maschinenbau.example           |
free     | zendesk   | 5003 | Ana Prado            | ana.prado.77@gmail.com                           |
free     | qualtrics | c-3  | Ana Prado            | ana.prado.77@gmail.com                           |
free2    | qualtrics | c-4  | Ana Prado            | anaprado@hotmail.com                             |
desk1    | zendesk   | 5005 | Harbour Office       | office@cobaltbay.example                         |
desk2    | gainsight | p-5  | Tom Ray              | office@cobaltbay.example                         |
desk3    | zendesk   | 5006 | Dispatch Desk        | dispatch@nordhafen.example                       |
desk4    | qualtrics | c-6  | Lena Vogt            | dispatch@nordhafen.example                       |
shared1  | zendesk   | 5007 | Piotr Nowak          | team@wislacargo.test                             |
shared2  | zendesk   | 5008 | Ewa Zając            | team@wislacargo.test                             |
shared1  | gainsight | p-7  | Piotr Nowak          | team@wislacargo.test piotr.nowak@wislacargo.test |
byid     | zendesk   | 5009 | Sam Okafor           | sam@harrowfinch.test                             | U-77120
byid     | gainsight | p-9  | Samuel Okafor        | s.okafor@harrowfinch.test                        | U-77120
byid     | qualtrics | c-9  | Sam Okafor           | sam@harrowfinch.test                             | U-77120
john1    | zendesk   | 5010 | John Smith           | john.smith@oakhursthaulage.test                  |
john1    | gainsight | p-10 | John Smith           | john.smith@oakhursthaulage.test                  |
john2    | gainsight | p-11 | John Smith           | john.smith@dunmoreremovals.test                  |
john2    | qualtrics | c-11 | John Smith           | john.smith@dunmoreremovals.test                  |
left     | zendesk   | 5012 | Ida Berg             | ida@sorlandetfrakt.test                          |
left     | gainsight | p-12 | Ida Berg             | ida.berg@sorlandetfrakt.test                     |
"""


@dataclass(frozen=True, slots=True)
class Seeded:
    """One record, and who it truly is."""

    truth: str
    ref: Ref
    entity: Account | Contact


def _cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]


def accounts() -> list[Seeded]:
    """The companies."""
    found = []
    for truth, connection, key, name, given, domains, region in _cells(ACCOUNTS):
        first, *rest = given.split() or [""]
        entity = Account(
            source_id=key,
            name=name,
            external_id=first or None,
            external_ids=rest,
            domains=domains.split(),
            region=region or None,
        )
        found.append(Seeded(truth, Ref(connection, STREAMS[connection], key), entity))
    return found


def contacts() -> list[Seeded]:
    """The people."""
    found = []
    for truth, connection, key, name, emails, given in _cells(CONTACTS):
        entity = Contact(source_id=key, name=name, emails=emails.lower().split(), external_id=given or None)
        found.append(Seeded(truth, Ref(connection, PEOPLE[connection], key), entity))
    return found


_PLACES = """
    Aldgate Brixen Calder Dorval Elmira Fenwick Glarus Harlow Ilmenau Jarrow Kelso Lindau Marburg Nairn Oberon
    Perth Quimper Rosario Selkirk Tralee Urbino Vaduz Weiden Xanten Yeovil Zwolle Ashford Corby Dunbar Exeter
    Gotha Ivrea Kiruna Lorient Modena
"""
_FAMILIES = """
    Bauer Costa Dubois Eriksen Farrell Gruber Hansen Ivanov Jansen Kowalski Lehmann Moreau Novak Oliveira Petrov
    Quinn Rossi Schmitt Tanaka Ulrich Vogel Weber Young Zielinski Müller Möller Peña Sørensen Łukasz Göransson
"""
_TRADES = """
    Logistics Bakery Optics Dental Transport Foods Brewing Textiles Metallbau Maschinenbau Pharma Software
    Insurance Media Timber Ceramics Energy Removals Couriers Furniture Nursery Haulage Tools Glass Chemie Printing
    Seafood Vineyards Toys Cycles
"""
_FORMS = ("GmbH", "AG", "Ltd", "Limited", "Inc.", "LLC", "S.p.A.", "SAS", "Sp. z o.o.", "AS", "B.V.")


def drawn(seed: int, companies: int = 300) -> list[Seeded]:
    """A customer base drawn by lot, for which no rule was made: names are mistyped, one domain in ten is an agency's."""
    lot = random.Random(seed)
    places, families, trades = _PLACES.split(), _FAMILIES.split(), _TRADES.split()
    names: dict[str, None] = {}
    while len(names) < companies:
        first = lot.choice((*places, *families, f"{lot.choice(families)} & {lot.choice(families)}"))
        names[f"{first} {lot.choice(trades)}"] = None
    found: dict[Ref, Seeded] = {}
    for number, name in enumerate(names):
        own = name.lower().replace(" & ", "").replace(" ", "").encode("ascii", "ignore").decode() + ".test"
        domain = f"managed{lot.randrange(5)}.test" if lot.random() < 0.1 else own
        for connection, with_id in (("zendesk", 0.6), ("gainsight", 0.6), ("jira", 0.0), ("qualtrics", 0.3)):
            if lot.random() < 0.25:
                continue
            key = str(lot.randrange(1, 4000)) if connection == "jira" else f"{connection[0]}{number}"
            domains = [domain] if connection != "jira" and lot.random() < 0.6 else []
            entity = Account(
                source_id=key,
                name=_written(lot, name),
                external_ids=[f"HL-{1000 + number}"] if lot.random() < with_id else [],
                domains=[*domains, "gmail.com"] if lot.random() < 0.08 else domains,
            )
            ref = Ref(connection, STREAMS[connection], key)
            found.setdefault(ref, Seeded(name, ref, entity))
    return lot.sample(list(found.values()), len(found))


def _written(lot: random.Random, name: str) -> str:
    place = lot.randrange(1, len(name) - 1)
    return lot.choice(
        (
            name,
            f"{name} {lot.choice(_FORMS)}",
            name.upper(),
            f"{name[:place]}{lot.choice('aeinrst')}{name[place + 1 :]}",
            name.replace("&", "and").replace("ü", "ue").replace("ö", "oe").replace("Ł", "L").replace("ñ", "n"),
            f"{name} Group",
        )
    )


def true_pairs(seeded: list[Seeded]) -> set[tuple[Ref, Ref]]:
    """The pairs of records in two connections that are the same."""
    pairs = set()
    for one in seeded:
        for other in seeded:
            if one.truth == other.truth and one.ref < other.ref and one.ref.connection != other.ref.connection:
                pairs.add((one.ref, other.ref))
    return pairs
