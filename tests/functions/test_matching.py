"""What two accounts or contacts have in common, as a score with its grounds; and whom it is worth comparing."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxbridge.core.canonical import Account, Contact
from cxbridge.functions import matching
from cxbridge.functions.matching import NameIndex, Profile, keys_of, score_accounts, score_contacts


def account(name="Northwind", key="1", **more):
    return Profile.of(keys_of(Account(source_id=key, name=name, **more)))


def contact(name="Mia Lee", *emails, **more):
    return Profile.of(keys_of(Contact(source_id="1", name=name, emails=list(emails), **more)))


class TestKeys:
    def test_of_an_account(self):
        entity = Account(
            source_id="1P02",
            name="Northwind Traders Ltd",
            external_id="HL-1",
            external_ids=["HL-1", "n/a", "0013000000AbCdE"],
            domains=["www.Northwind.test", "gmail.com", "agency.test", "nonsense"],
            region="UK",
        )
        assert keys_of(entity, ["agency.test"]) == {
            "own:1p02",
            "id:hl-1",
            "id:0013000000abcdeaav",
            "domain:northwind.test",
            "name:northwind traders",
            "form:ltd",
            "region:uk",
        }

    def test_of_a_contact(self):
        entity = Contact(source_id="7", name="Lee, Mia", emails=["Mia@Northwind.test", "mia@gmail.com"])
        assert keys_of(entity) == {
            "own:7",
            "name:mia lee",
            "email:mia@northwind.test",
            "email:mia@gmail.com",
            "at:northwind.test",
        }

    def test_who_is_gone_or_merged_has_none(self):
        assert keys_of(Account(source_id="1", name="N", deleted_at=datetime(2026, 5, 6, tzinfo=UTC))) == frozenset()
        assert keys_of(Contact(source_id="1", name="N", status="merged")) == frozenset()

    def test_they_can_be_stored_whatever_a_vendor_sends(self):
        keys = keys_of(Account(source_id="1", name="North\0wind " * 90, external_id="x" * 2000))
        assert not any("\0" in key or len(key) > 400 for key in keys)

    def test_a_profile_is_read_from_them(self):
        found = account("Harrow & Finch Grocers", domains=["harrow-finch.test"], external_id="HL-1")
        assert (found.name, found.initials, found.labels) == ("harrow finch grocers", "hfg", {"harrowfinch"})
        assert found.ids == {"hl-1"}


def score(one, other):
    found, grounds = score_accounts(one, other)
    back, _ = score_accounts(other, one)
    assert found == back, "it makes no difference who is asked about whom"
    assert grounds[0].key == "name"
    return found


class TestAccounts:
    def test_the_same_name_is_certain_and_a_different_one_is_not_there(self):
        assert score(account("Northwind GmbH"), account("NORTHWIND")) == 1.0
        assert score(account("Northwind"), account("Cobalt Bay Marine")) < 0.5

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Nordhafen Logistik", "Nordhaven Logistics"),
            ("Kestrel Freight Group", "Kestrel Freight"),
            ("Transports Belcourt", "Belcourt"),
            ("Blue Bottle Parcel Network", "Bluebottle Parcel Network"),
            ("International Barge Exchange", "IBE"),
            ("Belcourt Transports", "Transport Belcourt SAS"),
            ("Monarch Tyre Supply", "Monarch Tire Supply"),
        ],
    )
    def test_one_company_written_two_ways_is_suggested(self, one, other):
        assert score(account(one), account(other)) >= 0.8

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Alpha Logistics", "Alpine Logistics"),
            ("Northern Transport Services", "Southern Transport Services"),
            ("Bluebottle Parcel Network", "Bluebottle Coffee"),
            ("Kestrel Freight", "Petrel Freight"),
            ("Global Logistics", "Global Energy"),
        ],
    )
    def test_what_all_companies_are_called_makes_nobody_the_same(self, one, other):
        assert score(account(one), account(other)) < 0.8

    def test_an_id_of_the_same_sort_that_differs_speaks_against(self):
        one, other = account(external_id="HL-1001"), account(external_id="HL-1002")
        assert matching.contradiction(one, other) == "hl-1001 is not hl-1002"
        assert score(one, other) < score(account(), account())
        assert matching.contradiction(one, account(external_ids=["HL-1002", "HL-1001"])) == ""
        assert matching.contradiction(account(external_id="20001001"), account(external_id="30001001")) == ""

    def test_legal_form_and_region_tip_the_scales(self):
        base = score(account("Kestrel Air AG"), account("Kestrel Air Cargo"))
        assert score(account("Kestrel Air AG"), account("Kestrel Air Cargo GmbH")) < base
        assert score(account("Kestrel Air", region="DE"), account("Kestrel Air Cargo", region="de")) > base
        assert score(account("Kestrel Air", region="DE"), account("Kestrel Air Cargo", region="FR")) < base

    def test_a_domain_that_is_called_as_the_other_is(self):
        assert score(account("HF Retail", domains=["harrowfinch.test"]), account("Harrow & Finch Grocers")) >= 0.8
        shared = ["managed-by-copperleaf.test"]
        assert score(account("Marlow Bakeries", domains=shared), account("Stonebridge Dental", domains=shared)) < 0.8

    def test_what_cannot_reach_the_least_is_left_early(self):
        assert score_accounts(account("Northwind"), account("Cobalt Bay"), 0.8) == (0.0, ())
        assert score_accounts(account("Northwind"), account("Northwind"), 0.8)[0] == 1.0


class TestContacts:
    def test_a_name_alone_is_not_enough_and_the_company_beside_it_is(self):
        assert score_contacts(contact("John Smith"), contact("John Smith"))[0] < 0.8
        one, other = contact("John Smith", "j@a.test"), contact("John Smith", "john@a.test")
        assert score_contacts(one, other)[0] >= 0.8
        assert score_contacts(one, contact("John Smith", "j.smith@b.test"))[0] < 0.8

    def test_a_freemail_provider_is_no_company(self):
        one, other = contact("Ana Prado", "ana1@gmail.com"), contact("Ana Prado", "prado@gmail.com")
        assert score_contacts(one, other)[0] < 0.8


_names = st.text("abcdefg hiklmnop&.", min_size=1, max_size=30)


@given(_names, _names)
@settings(max_examples=300, deadline=None)
def test_scores_are_symmetric_and_between_nothing_and_one(one, other):
    left, right = account(one, domains=["abcdef.test"]), account(other)
    assert 0.0 <= score(left, right) <= 1.0
    assert score(left, left) >= score(left, right)
    assert matching.unlike(left, right) == matching.unlike(right, left)


class TestIndex:
    def test_it_finds_who_is_spelt_alike_or_shares_a_rare_word(self):
        index: NameIndex[str] = NameIndex()
        for name in ("Nordhafen Logistik", "Cobalt Bay Marine Parts", "Bluebottle Parcel", "Harrow Finch Grocers"):
            index.put(name, account(name))
        assert index.near(account("Nordhaven Logistics")) == {"Nordhafen Logistik"}
        assert index.near(account("Blue Bottle")) >= {"Bluebottle Parcel"}
        assert index.near(account("Finch")) == {"Harrow Finch Grocers"}
        assert index.near(account("HFG")) == {"Harrow Finch Grocers"}
        assert index.near(account("Something Else", domains=["cobaltbay.test"])) == {"Cobalt Bay Marine Parts"}
        assert index.near(account("Zzz")) == set()

    def test_what_was_dropped_or_renamed_is_not_found_by_what_it_was(self):
        index: NameIndex[int] = NameIndex()
        index.put(1, account("Nordhafen"))
        index.put(1, account("Cobalt Bay"))
        assert index.near(account("Nordhafen")) == set()
        assert index.near(account("Cobalt Bay")) == {1}
        index.drop(1)
        index.drop(2)
        assert index.near(account("Cobalt Bay")) == set()
        assert index.profiles == {}

    def test_a_word_that_very_many_have_finds_nobody(self):
        index: NameIndex[int] = NameIndex()
        for number in range(80):
            index.put(number, account(f"Meridian {chr(97 + number % 26) * 9}{chr(97 + number // 26) * 9}"))
        assert index.near(account("Meridian 123456 987654")) == set()
        assert index.near(account("Meridian aaaaaaaaaaaaaaaaaa")) >= {0}

    def test_nobody_is_compared_with_everybody(self):
        drawn = random.Random(7)
        syllables = (
            "ka",
            "lo",
            "mi",
            "ra",
            "ten",
            "dor",
            "vel",
            "nor",
            "sta",
            "gri",
            "bel",
            "hau",
            "fen",
            "wick",
            "burg",
            "tan",
        )
        names = [" ".join("".join(drawn.choices(syllables, k=3)) for _ in range(2)) for _ in range(3000)]
        index: NameIndex[int] = NameIndex()
        for number, name in enumerate(names):
            index.put(number, account(name))
        compared = found = 0
        for number in range(0, 3000, 10):
            place = drawn.randrange(1, len(names[number]) - 1)
            typed = f"{names[number][:place]}x{names[number][place + 1 :]} GmbH"
            near = index.near(account(typed))
            compared += len(near)
            found += number in near
        print(f"{found} of 300 misspelt names found among 3000, each compared with {compared / 300:.0f}")
        assert found >= 297
        assert compared / 300 <= 60
