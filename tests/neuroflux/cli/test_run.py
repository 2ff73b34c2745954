from neuroflux.cli.run import of_paper
from neuroflux.runtime.settings import Settings


def test_the_paper_exchanges_know_few_of_the_real_markets() -> None:
    followed = of_paper(Settings(markets=())).markets
    assert {"BTC/USD", "UBTC/USD", "PEPE/USD", "USDC/USD"} <= set(followed)


def test_markets_that_are_set_stay() -> None:
    assert of_paper(Settings(markets=("DOGE/USD",))).markets == ("DOGE/USD",)
