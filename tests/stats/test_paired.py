"""Exact resampling, paired tests, ranks, power and aggregation: enumeration, scipy, statsmodels, simulation."""

import itertools

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from bench.figures.aggregate import PerImage, common_ids, over_seeds, survival, worst_case
from bench.stats.intervals import clopper_pearson, mean_difference, mean_share, proportion
from bench.stats.lattice import resampled_mean, sign_flip_tail, steps_in
from bench.stats.paired import holm, mcnemar_p, paired_p, pairwise_p, power


def draw(key):
    return np.random.Generator(np.random.Philox(key=key))


@pytest.mark.parametrize(("successes", "n"), [(0, 7), (3, 7), (7, 7), (511, 512), (250, 1000)])
def test_intervals_are_those_of_statsmodels(successes, n):
    exact, wilson = clopper_pearson(successes, n), proportion(successes, n)
    assert (exact.low, exact.high) == pytest.approx(
        proportion_confint(successes, n, method="beta"), nan_ok=True, abs=1e-12
    )
    if 0 < successes < n:
        assert (wilson.low, wilson.high) == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-12)


def test_resampled_mean_is_the_enumeration_of_all_resamples():
    values = np.array([0.2, 0.5, 0.5, 1.0, 0.0, 0.3])
    means = [np.mean(chosen) for chosen in itertools.product(values, repeat=len(values))]
    expected = np.quantile(means, (0.025, 0.975), method="inverted_cdf")
    assert resampled_mean(values, (0.025, 0.975)) == pytest.approx(tuple(expected), abs=1e-12)


def test_resampled_mean_agrees_with_scipy_on_many_images():
    """Also in the branch where only the neighbourhood of the mean is computed."""
    values = draw(1).binomial(10, 0.6, 3_000) / 10
    found = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=4_000, rng=np.random.Generator(np.random.Philox(key=2))
    )
    ours = mean_share(values)
    half = (ours.high - ours.low) / 2
    assert (ours.low, ours.high) == pytest.approx(tuple(found.confidence_interval), abs=0.08 * half)


def test_values_off_any_lattice_are_resampled():
    values = np.sqrt(np.arange(1, 200) / 200)
    assert steps_in(values) is None
    interval = mean_share(values)
    half = 1.96 * values.std() / len(values) ** 0.5
    assert (interval.low, interval.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.15 * half)


def test_sign_flips_are_the_enumeration_of_all_signs():
    differences = np.array([0.1, -0.3, 0.2, 0.2, 0.5, -0.1, 0.4])
    sums = [np.dot(signs, differences) for signs in itertools.product((1, -1), repeat=7)]
    expected = np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-12)
    assert sign_flip_tail(differences) == pytest.approx(expected, abs=1e-12)


def test_sign_flips_agree_with_scipys_permutations():
    a, b = draw(3).binomial(10, 0.5, (2, 300)) / 10
    b = np.clip(b + (draw(4).random(300) < 0.1) * 0.3, 0, 1).round(1)
    found = scipy.stats.permutation_test(
        (a - b,),
        np.mean,
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.Generator(np.random.Philox(key=5)),
    )
    assert paired_p(a, b) == pytest.approx(found.pvalue, abs=0.012)


@pytest.mark.parametrize("table", [(7, 0), (6, 2), (40, 25), (0, 0)])
def test_mcnemar_is_that_of_statsmodels(table):
    only_a, only_b = table
    expected = mcnemar([[5, only_a], [only_b, 5]], exact=True).pvalue
    assert mcnemar_p(only_a, only_b) == pytest.approx(expected)
    a = np.array([1.0] * only_a + [0.0] * only_b + [1.0])
    b = np.array([0.0] * only_a + [1.0] * only_b + [1.0])
    assert paired_p(a, b) == pytest.approx(expected)


def test_holm_is_that_of_statsmodels():
    p = draw(6).random(40) ** 3
    assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]))


def test_pairwise_tests_are_the_paired_tests_with_images_that_are_missing():
    shares = np.array([draw(7).random(60) < 0.7, draw(8).random(60) < 0.5], dtype=float)
    shares = np.vstack([shares, draw(9).binomial(4, 0.5, 60) / 4])
    shares[0, :10] = np.nan
    found = pairwise_p(shares)
    for i, j in itertools.combinations(range(3), 2):
        both = ~np.isnan(shares[i]) & ~np.isnan(shares[j])
        assert found[i, j] == found[j, i] == pytest.approx(paired_p(shares[i, both], shares[j, both]))
    assert list(np.diag(found)) == [1, 1, 1]


def test_power_is_that_of_simulated_tables():
    """FACTS of the field: at n = 512 and 10 % discordance 3 points are found in 53 % (two-sided 5 %), 5 points at 1 % in 84 %."""
    assert round(power(512, 0.03, 0.10, alpha=0.05, margin=0), 2) == 0.53
    assert round(power(512, 0.05, 0.10), 2) == 0.84
    n, rng = 60, draw(10)
    both = rng.multinomial(n, (0.25, 0.05, 0.7), size=20_000)
    caught = (mcnemar_p(both[:, 0], both[:, 1]) < 0.05) & (np.abs(both[:, 0] - both[:, 1]) > 0.02 * n)
    assert power(n, 0.2, 0.3, alpha=0.05, margin=0.02) == pytest.approx(caught.mean(), abs=0.012)
    with pytest.raises(ValueError, match="discordance must be at least"):
        power(10, 0.5, 0.1)


def test_differences_of_proportions_by_hand():
    """Agresti and Min, 2005, with b = 12, c = 4, n = 50: centre 8 / 52, variance (17 - 64 / 52) / 52^2."""
    a = np.array([1.0] * 12 + [0.0] * 4 + [1.0] * 34)
    b = np.array([0.0] * 12 + [1.0] * 4 + [1.0] * 34)
    found, half = mean_difference(a, b), 1.959963984540054 * (17 - 64 / 52) ** 0.5 / 52
    assert (found.value, found.low, found.high) == pytest.approx((0.16, 8 / 52 - half, 8 / 52 + half))
    same = mean_difference(a, a)
    assert same.low < 0 < same.high


def test_differences_of_shares_are_resampled_by_image():
    a, b = draw(11).binomial(5, 0.7, 400) / 5, draw(12).binomial(5, 0.5, 400) / 5
    found, half = mean_difference(a, b), 1.96 * (a - b).std() / 20
    assert (found.method, found.value) == ("bootstrap", pytest.approx((a - b).mean()))
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.1 * half)


def test_survival_is_unbiased_by_enumeration():
    """The mean over all subsets of M of N recorded draws of whether none failed."""
    draws = np.array([0, 1, 0, 0, 1, 0])
    (found,) = survival(np.array([draws.sum()]), 6)
    for submissions in range(1, 7):
        kept = [not draws[list(chosen)].any() for chosen in itertools.combinations(range(6), submissions)]
        assert found[submissions - 1] == pytest.approx(np.mean(kept))


def part(ids, shares):
    return PerImage(np.array(ids), np.array(shares, dtype=float))


def test_worst_case_and_seeds_by_hand():
    one, two = part([3, 1, 2], [1, 0.5, 0]), part([1, 2, 3, 9], [1, 1, 0.25, 1])
    worst = worst_case([one, two])
    assert (worst.ids.tolist(), worst.shares.tolist()) == ([3, 1, 2], [0.25, 0.5, 0])
    some = worst_case([one, two], np.array([9, 2, 5, 1]))
    assert (some.ids.tolist(), some.shares.tolist()) == ([9, 2, 1], [1, 0, 0.5])
    mean, lowest, spread = over_seeds([one, two])
    assert mean.shares.tolist() == [0.625, 0.75, 0.5]
    assert lowest.shares.tolist() == [0.25, 0.5, 0]
    assert spread == pytest.approx(np.std([0.5, 0.75], ddof=1))
    assert over_seeds([one])[2] == 0
    assert len(common_ids([one, part([7], [1])])) == 0
    assert np.isnan(one.on(np.array([8]))).all()
