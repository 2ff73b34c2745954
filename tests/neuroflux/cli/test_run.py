from neuroflux.cli.run import of_paper
from neuroflux.runtime.settings import Settings


def test_paper_trading_uses_only_the_simulated_markets() -> None:
    followed = of_paper(Settings(markets=())).markets
    assert {"BTC/USD", "UBTC/USD", "PEPE/USD", "USDC/USD"} <= set(followed)


def test_markets_of_the_settings_are_kept() -> None:
    assert of_paper(Settings(markets=("DOGE/USD",))).markets == ("DOGE/USD",)
