"""Kernels on arrays beside their definitions, each place for itself, by `math` and plain Python."""

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from mcp_servers.formula import rolling, series, special, weighted

Array = NDArray[np.float64]

# ------------------------------------------------------------------ the normal distribution


def _spread(low: float, high: float, count: int = 50_001) -> Array:
    return np.linspace(low, high, count)


@pytest.mark.parametrize(
    ("many", "one", "low", "high"),
    [
        (special.norm_cdfs, special.norm_cdf, -9.0, 9.0),
        (special.erfs, math.erf, -7.0, 7.0),
        (special.erfcs, math.erfc, -7.0, 7.0),
    ],
)
def test_the_table_is_true_to_one_unit_in_the_fifteenth_place(
    many: Callable[..., Array], one: Callable[[float], float], low: float, high: float
) -> None:
    x = _spread(low, high)
    exact = np.array([one(value) for value in x.tolist()])
    assert np.abs(many(x) - exact).max() < 1e-15
    assert np.abs(many(x) / exact - 1.0)[exact != 0].max() < 2e-12


def test_the_far_tails_keep_their_digits() -> None:
    x = _spread(-37.0, -8.0)
    exact = np.array([special.norm_cdf(value) for value in x.tolist()])
    assert np.abs(special.norm_cdfs(x) / exact - 1.0).max() < 2e-12
    tiny = 10.0 ** -_spread(1, 300)
    assert np.abs(special.erfs(tiny) / (tiny * 2.0 / math.sqrt(math.pi)) - 1.0).max() < 4e-3  # erf(0.1) is no line
    assert np.abs(special.erfs(tiny[1000:]) / [math.erf(value) for value in tiny[1000:].tolist()] - 1.0).max() < 2e-15


def test_what_is_not_finite_has_its_place_in_a_long_array() -> None:
    x = np.zeros(100)
    x[:3] = np.nan, np.inf, -np.inf
    np.testing.assert_array_equal(special.norm_cdfs(x)[:4], [np.nan, 1.0, 0.0, 0.5])
    np.testing.assert_array_equal(special.erfs(x)[:4], [np.nan, 1.0, -1.0, 0.0])
    np.testing.assert_array_equal(special.erfcs(x)[:4], [np.nan, 0.0, 2.0, 1.0])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(special.norm_invs(x + 0.5)[:4], [np.nan, np.nan, np.nan, 0.0])


def test_results_may_be_written_over_the_values() -> None:
    for many in (special.norm_cdfs, special.erfs, special.erfcs, special.norm_invs):
        x = np.random.default_rng(3).uniform(0.01, 0.99, 20_000)
        expected = many(x)
        assert many(x, x) is x
        np.testing.assert_array_equal(x, expected)


@given(st.floats(1e-300, 1.0, exclude_max=True))
def test_the_quantile_is_the_one_of_the_standard_library(p: float) -> None:
    assert special.norm_inv(p) == NormalDist().inv_cdf(p)


# ------------------------------------------------------------------ windows

_WINDOWS: dict[str, tuple[Callable[[Array, int], Array], Callable[[Array], Any]]] = {
    "sum": (rolling.rolling_sum, np.sum),
    "mean": (rolling.rolling_mean, np.mean),
    "var": (rolling.rolling_var, np.var),
    "std": (rolling.rolling_std, np.std),
    "min": (rolling.rolling_min, np.min),
    "max": (rolling.rolling_max, np.max),
    "median": (rolling.rolling_median, np.median),
    "zscore": (rolling.rolling_zscore, lambda w: (w[-1] - np.mean(w)) / np.std(w)),
    "slope": (rolling.rolling_slope, lambda w: np.polyfit(np.arange(len(w)), w, 1)[0] if len(w) > 1 else np.nan),
}


@pytest.mark.parametrize("name", _WINDOWS)
@pytest.mark.parametrize("n", [1, 2, 3, 7, 20, 64, 129])
def test_a_window_is_worth_what_its_own_values_are_worth(name: str, n: int) -> None:
    kernel, of_one = _WINDOWS[name]
    x = np.random.default_rng(n).normal(100.0, 3.0, 300)
    with np.errstate(all="ignore"):
        found = kernel(x, n)
        expected = [of_one(x[at - n + 1 : at + 1]) for at in range(n - 1, 300)]
    assert np.isnan(found[: n - 1]).all()
    np.testing.assert_allclose(found[n - 1 :], expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", _WINDOWS.keys() - {"median"})  # which has no such pieces
@pytest.mark.parametrize("n", [5, 9_000, 20_000])
def test_pieces_meet_without_a_seam(name: str, n: int) -> None:
    kernel, of_one = _WINDOWS[name]
    x = np.random.default_rng(n).normal(0.0, 1.0, 50_000)
    found = kernel(x, n)
    for at in {n - 1, n, 16_383, 16_384, 16_385, 32_767, 32_768, 40_000, 49_999}:
        if at >= n - 1:
            np.testing.assert_allclose(found[at], of_one(x[at - n + 1 : at + 1]), rtol=1e-8, atol=1e-11)


@given(st.lists(st.sampled_from([0.1, 0.3, 1e9, -1e16, 7.0, np.nan, np.inf]), max_size=30), st.integers(1, 9))
def test_what_has_left_a_window_leaves_no_trace(before: list[float], n: int) -> None:
    after = [1.5, 2.5, 0.25, 3.5] * 3
    with np.errstate(all="ignore"):
        for kernel, _ in _WINDOWS.values():
            found, alone = kernel(np.array([*before, *after]), n), kernel(np.array(after), n)
            np.testing.assert_array_equal(found[len(before) + n - 1 :], alone[n - 1 :])


@given(st.floats(-1e300, 1e300), st.integers(1, 40))
def test_equal_values_never_deviate(value: float, n: int) -> None:
    x = np.full(40, value)
    with np.errstate(all="ignore"):
        assert not rolling.rolling_var(x, n)[n - 1 :].any()
        assert np.isnan(rolling.rolling_zscore(x, n)).all()
        assert series.var(x) == 0.0
        assert np.isnan(series.zscore(x)).all()


# ------------------------------------------------------------------ weights


def _recurrence(x: list[float], alpha: float) -> tuple[list[float], list[float]]:
    means, variances = [x[0]], [0.0]
    for value in x[1:]:
        apart = value - means[-1]
        variances.append((1 - alpha) * (variances[-1] + alpha * apart * apart))
        means.append((1 - alpha) * means[-1] + alpha * value)
    return means, variances


@pytest.mark.parametrize("alpha", [1e-9, 0.06, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("length", [1, 2, 31, 32, 33, 64, 65, 1_000, 2_049, 16_384, 40_000])
def test_weighted_figures_are_the_recurrence_place_by_place(alpha: float, length: int) -> None:
    x = np.random.default_rng(length).normal(100.0, 3.0, length)
    means, variances = _recurrence(x.tolist(), alpha)
    np.testing.assert_allclose(weighted.ewm_mean(x, alpha), means, rtol=1e-12)
    np.testing.assert_allclose(weighted.ewm_var(x, alpha), variances, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(weighted.ewm_std(x, alpha), np.sqrt(weighted.ewm_var(x, alpha)))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("at", [0, 5, 1_000, 20_000])
def test_what_is_not_finite_acts_from_its_place_on_and_not_before(wrong: float, at: int) -> None:
    x = np.random.default_rng(at).normal(0.0, 1.0, 30_000)
    right = weighted.ewm_mean(x, 0.1)
    x[at] = wrong
    with np.errstate(all="ignore"):
        found = weighted.ewm_mean(x, 0.1)
    np.testing.assert_allclose(found[:at], right[:at], rtol=1e-12, atol=1e-15)
    assert not np.isfinite(found[at:]).any()
