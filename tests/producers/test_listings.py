"""From one list of instruments to the next: what changed, and what was delisted."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from neuroflux.exchanges.kit.events import Listing
from producers.listings import Listings
from tests.producers.exchange import BTC, instrument

ETH, NEW = instrument("ETH/USDT:USDT", "ETHUSDT"), instrument("NEW/USDT:USDT", "NEWUSDT")


def test_at_first_everything_is_new_and_then_what_changed() -> None:
    listings = Listings()
    assert listings.read(Listing((BTC, ETH))) == [BTC, ETH]
    assert listings.read(Listing((BTC, ETH))) == []
    halted, finer = replace(ETH, active=False), replace(BTC, tick_size=BTC.tick_size / 10)
    assert listings.read(Listing((finer, halted, NEW))) == [finer, halted, NEW]
    assert listings.read(Listing((finer, ETH, NEW))) == [ETH]


def test_an_instrument_that_the_list_omits_becomes_inactive() -> None:
    listings = Listings()
    listings.read(Listing((BTC, ETH)))
    assert listings.read(Listing((BTC,))) == [replace(ETH, active=False)]
    assert listings.read(Listing((BTC,))) == []
    assert listings.read(Listing((BTC, ETH))) == [ETH]


def test_an_instrument_of_the_log_that_the_first_list_omits_becomes_inactive() -> None:
    listings = Listings((ETH, replace(NEW, active=False)))
    assert listings.read(Listing((BTC,))) == [BTC, replace(ETH, active=False)]


def test_an_instrument_whose_row_could_not_be_read_stays() -> None:
    listings = Listings()
    listings.read(Listing((BTC, ETH, NEW)))
    assert listings.read(Listing((BTC,), ("row ETHUSDT: no baseAsset",))) == [replace(NEW, active=False)]


def test_an_empty_list_removes_nothing() -> None:
    listings = Listings()
    listings.read(Listing((BTC,)))
    assert listings.read(Listing(())) == ()
    assert listings.knows(BTC.symbol)


def test_a_list_does_not_replace_the_fees_of_an_account_in_the_log() -> None:
    listings, own = Listings((replace(BTC, taker_fee=Decimal("0.1")),)), replace(BTC, taker_fee=Decimal("0.0003"))
    assert listings.read(Listing((BTC, ETH))) == [BTC, ETH]  # of another account, perhaps
    assert not listings.update(own)
    assert listings.read(Listing((BTC, ETH))) == []
    finer = replace(BTC, tick_size=BTC.tick_size / 10)
    assert listings.read(Listing((finer, ETH))) == [replace(finer, taker_fee=own.taker_fee)]
    assert replace(finer, taker_fee=own.taker_fee) in listings.listed


def test_a_newer_list_is_published_again_after_an_older_one_of_another_stage() -> None:
    listings, halted = Listings(), replace(BTC, active=False)
    listings.read(Listing((halted, ETH)))
    assert listings.update(BTC)
    assert listings.read(Listing((halted, ETH))) == [halted]
    assert not listings.update(halted)


def test_an_instrument_that_is_new_in_the_log_requires_the_list_until_it_has_it() -> None:
    listings = Listings()
    listings.read(Listing((BTC, ETH)))
    assert listings.update(NEW)
    assert listings.read(Listing((BTC, ETH, NEW))) == [NEW]
