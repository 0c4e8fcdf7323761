"""Builds the parts of a record and scores its images again: the stage of a verification that needs torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.compare.findings import CLOSE, Finding, Flip, judged
from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.figures.runs import Run
from bench.plan.plan import Plan
from bench.records.seal import MAKERS_AUDIT
from bench.records.spec import differences, of_code
from bench.registry.registry import Registry
from bench.run.replay import replan, worker_of
from bench.run.worker import Worker
from bench.verify.judge import judge_ball, judge_fresh, judge_margins, judge_predictions
from bench.verify.rescored import Rescoring
from bench.verify.verification import Options, Reporter

ELSEWHERE = f"in another environment than the record's, predictions may differ where a margin is below {CLOSE:g}"
NOT_RUN = "whether the named attack made these images, and whether a stronger one exists: none was run (bench audit repeats it on some, and runs others)"
AUDITED = "the audit that came with it: its maker's word (bench audit makes one here)"
TAKEN = "certified radii, costs, times, checks, notes, environments and remarks of the attack: taken as recorded"
RECODED = "the bytes of its file, or of a module that it imports, changed: even a new comment does that"


def score_again(run: Run, registry: Registry, options: Options, reporter: Reporter) -> tuple[list[Finding], list[str]]:
    """The findings on parts, images and scores, and what was not checked, as phrases.

    Arguments:
        run: A record whose files are intact.
        registry: Finds its names.
        options: How to verify.
        reporter: Receives the progress.
    """
    try:
        planned = replan(run.header, registry, options.data_dir)
    except UserError as error:
        return [Finding(check="parts", passed=False, detail=f"they cannot be built here: {error}")], [NOT_RUN, TAKEN]
    findings, unchecked = _parts(run, planned)
    unchecked += [AUDITED] if (run.path / MAKERS_AUDIT).exists() else []
    findings.append(_images(run, planned.dataset))
    if any(finding.passed is False for finding in findings):
        return findings, [
            *unchecked,
            NOT_RUN,
            TAKEN,
            "predictions and margins, since parts or images differ",
        ]
    worker = worker_of(run, planned, device=options.device, batch_size=options.batch_size)
    try:
        more, notes = _scores(run, planned, worker, reporter)
    except UserError as error:
        more, notes = [Finding(check="scores", passed=False, detail=f"the images cannot be scored: {error}")], []
    return findings + more, [*unchecked, *notes, NOT_RUN, TAKEN]


def _parts(run: Run, planned: Plan) -> tuple[list[Finding], list[str]]:
    """The finding on names, arguments and hashes; a changed attack is only a note, since it does not change scores."""
    phrases = differences(run.spec, planned.spec)
    attack = [phrase for phrase in phrases if phrase.startswith("attack ")]
    changed = [phrase for phrase in phrases if phrase not in attack]
    recoded = [RECODED] if any(map(of_code, changed)) else []
    detail = "; ".join(changed + recoded) or "defense, networks and data have the recorded arguments and hashes"
    notes = [f"the attack of this name has changed: {'; '.join(attack)}"] if attack else []
    return [Finding(check="parts", passed=not changed, detail=detail)], notes


def _images(run: Run, dataset: Dataset) -> Finding:
    """The finding on ids and labels: the first images of the data set's fixed order."""
    n, wrong, problem = len(run), list[int](), ""
    if not np.array_equal(run.ids, dataset.ids[:n]):
        problem = f"not the first {n} images of {dataset.name} in its order"
    elif (run.labels != dataset.labels[:n]).any():
        wrong = run.ids[run.labels != dataset.labels[:n]].tolist()
        problem = f"labels of images {wrong[:5]} are not those of {dataset.name}"
    flips = [Flip(sample, 0, "label", [], []) for sample in wrong]
    return judged("images", problem, f"the first {n} of {dataset.name}, with their labels", flips)


def _scores(run: Run, planned: Plan, worker: Worker, reporter: Reporter) -> tuple[list[Finding], list[str]]:
    """The findings on predictions, margins, ball and fresh draws, and what was not checked."""
    stochastic = not planned.make_defense(planned.score).deterministic
    scores = Rescoring(run, planned, worker, fresh=stochastic, scored=_counter(reporter, 2 * len(run))).scores()
    clean, attacked = scores.clean, scores.adversarial
    findings = [judge_predictions(clean)] if clean else []
    lacking = len(run) - (len(attacked.ids) if attacked else 0)
    if lacking:
        detail = f"{lacking} of {len(run)} adversarial images are not stored: their predictions and their distances were not checked"
        findings.append(Finding(check="evidence", passed=None, detail=detail))
    if attacked:
        findings += [judge_ball(run, scores.outside), judge_predictions(attacked), judge_margins(attacked)]
    if attacked and scores.fresh is not None:
        findings.append(judge_fresh(attacked, scores.fresh))
    return findings, [] if clean and clean.same else [ELSEWHERE]


def _counter(reporter: Reporter, total: int) -> Callable[[int], None]:
    """Adds up the scored images for a reporter."""
    done = 0

    def scored(images: int) -> None:
        nonlocal done
        done += images
        reporter.scored(done, total)

    return scored
