"""docs/parameters.md says what EPP's model says."""

from epp.core.config import EppParameters, RegimeParameters

from tests.preflight import epp_parameter_page


def test_the_page_agrees_with_the_model() -> None:
    """Otherwise: `PYTHONPATH=files python -m tests.preflight.epp_parameter_page`."""
    assert epp_parameter_page.FILE.read_text(encoding="utf-8") == epp_parameter_page.page()


def test_every_parameter_is_on_the_page_and_says_what_it_means() -> None:
    page = epp_parameter_page.page()
    for model in (EppParameters, RegimeParameters):
        for name, field in model.model_fields.items():
            assert field.description, name
            assert name == "regimes" or f"| `{name}` |" in page, name


def test_every_number_has_a_unit_or_is_a_count() -> None:
    without = {
        name
        for name, field in EppParameters.model_fields.items()
        if field.annotation is float and not epp_parameter_page._unit(name)
    }
    assert without == {"band_floor_weight", "fee_share_widen", "level_step"}
