"""A row of a board: one defense with one classifier, under all of its attacks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.figures.aggregate import PerImage
from bench.registry.entry import Citation
from bench.stats.intervals import Interval
from bench.text.words import counted as in_words
from leaderboards.entries import Entry, believed
from leaderboards.groups import over_attacks, together


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """The accuracy under a class of attacks that was not run on the row's images and draws; it enters no other figure.

    Arguments:
        accuracy: Under the worst of these attacks per image, on the images that all of them have.
        draws: Scored draws of each image.
    """

    accuracy: Interval
    draws: int

    def as_dict(self) -> dict[str, Any]:
        """The accuracy as JSON, with its number of draws."""
        return {**self.accuracy.as_dict(), "draws": self.draws}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One defense with one classifier; all figures are computed on the same images, draws and seeds.

    Arguments:
        defense: Name, and the arguments that differ from its defaults; on a board also the content hash, if two rows share a name.
        content: Hash of the code of a defense that is not built in.
        name: Name of the defense alone.
        arguments: All arguments of the defense.
        classifier: Name of the classifier.
        score_model: Name of the score model, if there is one.
        dataset: Name of the data set.
        threat: Threat model.
        deterministic: Whether the defense claims to be deterministic.
        draws: Scored draws per image.
        n: Number of images: those that every attack of a required class was made on.
        seeds: The seeds that are averaged.
        clean: Clean accuracy.
        under: For each class of attacks, the accuracy under the worst of these attacks per image.
        elsewhere: The classes of attacks that were run on other images or draws only.
        worst_case: Accuracy under the worst of all attacks per image; the unchanged image counts as one.
        spread: Standard deviation of the worst case over seeds, 0 with one seed.
        worst_seed: Accuracy under the worst attack and the worst seed per image.
        eot: For a stochastic defense: accuracy under the attacks that average exact gradients over fresh draws.
        draw_figures: For a stochastic defense: clean and robust accuracy under each rule over draws (`leaderboards.draws`).
        any_fail: For a stochastic defense: clean and robust accuracy if an image fails as soon as any of N submissions does, for
            N = 1 to `draws`.
        delta_null: The worst case minus the accuracy without any attack, under the same rule and draws.
        delta_undefended: The worst case minus that of the undefended classifier, if that is on the board, on the images of both.
        passes: Score-model passes of one prediction of one image; None if unknown.
        certified: Average certified l2 radius, pixel units; None for a defense without a certificate.
        verdict: The worst verdict of its audits if one is `suspect` or `refuted`, else that of the strongest attack that counts;
            None without an audit.
        flags: Warnings for the reader; attacks on other images or draws first.
        missing: Classes of attacks that it has not faced, and `images` if it has too few; if any, it is not ranked.
        commands: The commands that complete it.
        runs: Its runs, strongest attack first.
        counted: Ids of the runs that its figures are computed from.
        source: The publication of the defense.
        rank: Its position by the worst case: one more than the number of ranked rows with a higher one; None if it is not ranked.
        rank_low: The best rank that the paired tests leave open.
        rank_high: The worst rank that they leave open.
        shared: The worst case on the images that all ranked rows have; None if these are the images of every row, or none.
        paired_p: p-value, Holm-corrected over the board, of the hypothesis that its worst case equals the reference's.
        paired_n: Images of this test: those that the row and the reference have.
        shares: The worst case of each image.
        clean_shares: The share of right draws of each clean image.
    """

    defense: str
    content: str | None = field(compare=False, repr=False)
    name: str
    arguments: dict[str, Any]
    classifier: str
    score_model: str | None
    dataset: str
    threat: str
    deterministic: bool
    draws: int
    n: int
    seeds: list[int]
    clean: Interval
    under: dict[str, Interval]
    elsewhere: dict[str, Elsewhere]
    worst_case: Interval
    spread: float
    worst_seed: Interval
    eot: Interval | None
    draw_figures: dict[str, dict[str, Interval]] | None
    any_fail: dict[str, list[float]] | None
    delta_null: Interval
    delta_undefended: Interval | None = None
    passes: float | None
    certified: float | None
    verdict: str | None
    flags: list[str]
    missing: list[str]
    commands: list[str]
    runs: list[Entry]
    counted: list[str]
    source: Citation | None
    rank: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    shared: Interval | None = None
    paired_p: float | None = None
    paired_n: int | None = None
    shares: PerImage = field(compare=False, repr=False)
    clean_shares: PerImage = field(compare=False, repr=False)

    @property
    def unaudited(self) -> Entry | None:
        """The run that still needs an audit: the deciding one, if only other runs of the row were audited."""
        audited = self.verdict is None and any(part.verdict for part in self.runs)
        return deciding(self.runs, self.counted)[0] if audited else None

    @property
    def believed(self) -> bool | None:
        """Whether audits found all of its numbers trustworthy; None if unknown."""
        return believed(self.verdict)

    def remark(self, n: int | None, draws: int | None = None) -> str:
        """What a cell has to add if it is not about the row's images and draws: `n = 100`, `1 draw`, or nothing."""
        other_images = [f"n = {n}"] if n not in (None, self.n) else []
        return ", ".join(other_images + ([in_words(draws, "draw")] if draws not in (None, self.draws) else []))


def deciding(runs: Sequence[Entry], counted: Collection[str]) -> list[Entry]:
    """Sorts runs, strongest attack first, so that those that count lead."""
    return sorted(runs, key=lambda part: part.run_id not in counted)


def figure_of(row: Row, runs: Sequence[Entry]) -> tuple[PerImage, int] | None:
    """The worst of some runs per image, averaged over the row's seeds, and their number of draws; None if there is none.

    If none of the runs counts in the row, those of its seeds on other images or draws are taken, as in `Row.elsewhere`.

    Arguments:
        row: The row.
        runs: Some of its runs.
    """
    counted = [(part.seed, part.shares) for part in runs if part.run_id in row.counted]
    if counted:
        return over_attacks(counted, row.shares.ids)[0], row.draws
    others = [part for part in runs if part.seed in row.seeds]
    draws = nearest_draws({part.draws for part in others}, row.draws)
    parts = [(part.seed, part.shares) for part in others if part.draws == draws]
    return (together(parts), draws) if parts else None


def nearest_draws(found: Collection[int], wanted: int) -> int:
    """The wanted number of draws if it was found, else the smallest."""
    return wanted if wanted in found else min(found, default=wanted)
