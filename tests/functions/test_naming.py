"""Names, domains, addresses and ids: the same thing written differently comes out the same, different things do not."""

import pytest

from cxbridge.functions import naming


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller & Söhne GmbH & Co. KG", "Mueller und Soehne"),
        ("Szybki Magazyn Sp. z o.o.", "SZYBKI MAGAZYN"),
        ("Sørlandet Fisk & Frakt A/S", "Sorlandet Fisk and Frakt"),
        ("Acme S.p.A.", "The Acme L.L.C."),
        ("Wisła Cargo", "Wisla  Cargo,"),
        ("O'Neill Intl. Ltd", "ONeill International"),
        ("Bar Pty Ltd", "Bar"),
        ("Foo S.A. de C.V.", "Foo, Inc."),
        ("Nordhafen Logistik AG", "Nordhafen Logistics"),
        ("ＮＯＲＴＨＷＩＮＤ", "Northwind"),
    ],
)
def test_one_company_has_one_name(one, other):
    assert naming.company(one)[0] == naming.company(other)[0] != ""


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("Nordhafen AG", "ag"),
        ("Oakhurst Haulage Limited", "ltd"),
        ("Müller GmbH & Co. KG", "gmbh co kg"),
        ("Wisła Sp. z o. o.", "spzoo"),
        ("Northwind", ""),
        ("Co.", ""),
    ],
)
def test_the_legal_form_is_told_apart_from_the_name(name, form):
    assert naming.company(name)[1] == form


def test_what_is_left_is_never_nothing():
    for name in ("The Co.", "AG", "Und", "株式会社", "ООО Ромашка"):
        assert naming.company(name)[0]
    assert naming.company("") == ("", "")


def test_a_person_has_one_name():
    assert naming.person("Lee, Mia") == naming.person("MIA LEE") == naming.person("Dr. Mia Lee") == "mia lee"
    assert naming.person("Jörg Müller") == naming.person("Joerg Mueller")
    assert naming.person("Dr") == "dr"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://www.Northwind.test/about?x=1", "northwind.test"),
        ("WWW.northwind.test.", "northwind.test"),
        ("mia@northwind.test", "northwind.test"),
        ("northwind.test:8443", "northwind.test"),
        ("müller.example", "xn--mller-kva.example"),
        ("localhost", ""),
        ("not a domain", ""),
        ("", ""),
        ("a..b", ""),
        ("x" * 70 + ".test", ""),
    ],
)
def test_domains(written, read):
    assert naming.domain(written) == read


@pytest.mark.parametrize(
    "name", ["gmail.com", "googlemail.com", "yahoo.co.uk", "hotmail.fr", "gmx.at", "web.de", "outlook.com.br"]
)
def test_freemail_is_known_in_every_country(name):
    assert naming.is_freemail(name)


@pytest.mark.parametrize("name", ["northwind.test", "yahoo-fans.example", "live.northwind.test", "mail.northwind.test"])
def test_a_company_is_no_freemail_provider(name):
    assert not naming.is_freemail(name)


def test_addresses():
    assert naming.email(" Mia.Lee@Northwind.TEST ") == "mia.lee@northwind.test"
    for wrong in (
        "",
        "mia",
        "mia@",
        "@northwind.test",
        "Mia <mia@northwind.test>",
        "a b@northwind.test",
        "mia@localhost",
    ):
        assert naming.email(wrong) == ""
    assert naming.is_role("info@northwind.test")
    assert naming.is_role("support+eu@northwind.test")
    assert not naming.is_role("infante@northwind.test")


def test_ids_are_compared_without_case_and_placeholders_are_none():
    assert naming.external_id(" HL-1001 ") == naming.external_id("hl-1001") == "hl-1001"
    for nothing in ("", "  ", "N/A", "none", "0", "-", "NULL", "test"):
        assert naming.external_id(nothing) == ""


def test_a_salesforce_id_is_the_same_in_both_lengths_and_case_counts_in_the_short_one():
    assert naming.external_id("0013000000AbCdE") == naming.external_id("0013000000AbCdEAAV")
    assert naming.external_id("0013000000AbCdE") != naming.external_id("0013000000aBcDe")


def test_weak_ids_and_shapes():
    assert [naming.is_weak_id(one) for one in ("12", "1042", "99999", "100000", "abc", "hl-1")] == [
        True,
        True,
        True,
        False,
        True,
        False,
    ]
    assert naming.shape("hl-1001") == naming.shape("hl-2002") != naming.shape("de-2002")
    assert naming.shape("6f1c2d3e-aaaa") == naming.shape("northwind") == ""
    assert naming.shape(naming.external_id("0013000000AbCdE")) == "salesforce"


def test_initials():
    assert naming.initials("harrow finch grocers") == "hfg"
    assert naming.initials("harrow") == ""
