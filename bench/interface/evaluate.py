"""Evaluates a purifier in front of a classifier: `bench run` for objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.interface.asked import Asked
from bench.interface.chance import check_classifier
from bench.interface.parts import check_complete, find_parts
from bench.interface.reporters import reporter
from bench.interface.result import Result
from bench.objects.classifiers import FOUND, untouched
from bench.plan.plan import plan
from bench.plan.request import Request
from bench.run.job import images_missing
from bench.run.options import Options
from bench.run.runner import run
from bench.threat import ThreatModel

SAMPLES = 100
"""Images of a data set that is not in memory already, as `bench run` takes them."""


def evaluate(
    defense: Any,
    *,
    classifier: Any = None,
    data: Any = "fashion-mnist",
    attack: Any = "pgd-full",
    threat: str | ThreatModel | None = None,
    score_model: Any = None,
    n: int | str | None = None,
    draws: int | None = None,
    seed: int = 0,
    normalize: Any = FOUND,
    processor: Any = None,
    defense_args: Mapping[str, Any] | None = None,
    attack_args: Mapping[str, Any] | None = None,
    classifier_args: Mapping[str, Any] | None = None,
    score_args: Mapping[str, Any] | None = None,
    device: str | None = None,
    batch_size: int | None = None,
    results: str | Path = "results",
    data_dir: str | Path | None = None,
    evidence: bool = True,
    mix_environments: bool = False,
    progress: bool | None = None,
) -> Result:
    """Attacks a purifier in front of a classifier and scores it, on a record that the same call continues or returns.

    Every part is a name as on the command line, an object, or a class or function that makes one. Objects are never changed: they
    have to be in inference mode, and their parameters are given back as they were.

    Arguments:
        defense: The purifier: a name; a function `x -> x`; a `torch.nn.Module`; an object with `purify(x)` or `purify(x, noise)`;
            None for no purifier.
        classifier: Images `(B, C, H, W)` in [0, 1] to logits `(B, classes)`: a name; a `torch.nn.Module` of torchvision, timm,
            transformers or your own; `(model, processor)`; a function.
        data: A name; `(images, labels)` as tensors or arrays, floats in [0, 1] of shape `(N, C, H, W)` and whole numbers; a torch
            Dataset or DataLoader; a split of Hugging Face `datasets`.
        attack: A name, or a function of `(model, x, y, threat, noise)`.
        threat: The ball, such as `linf:8/255` or `l2:0.5`; None for the default of a named data set.
        score_model: A name, or an object with `denoise(y, sigma)`, for a defense that needs one.
        n: The first n images of the class-balanced order, or `all`; None for all images of tensors and arrays, else 100.
        draws: Fresh draws per image in the score; None for 10 with a stochastic defense, else 1.
        seed: Seed of all draws.
        normalize: What the classifier expects of its input: `(mean, std)`; `auto` for what timm models and a processor state; None
            for nothing.
        processor: An image processor or transforms, whose normalisation is taken.
        defense_args: Arguments for the defense's name, class or function.
        attack_args: Arguments for the attack.
        classifier_args: Arguments for the classifier's name, class or function.
        score_args: Arguments for the score model's name, class or function.
        device: `cpu`, `cuda`, `cuda:1`, `mps`; None for where the networks are.
        batch_size: Images in one network call; None finds one.
        results: Folder of all records.
        data_dir: Folder of data sets, also for downloads.
        evidence: Whether adversarial images are stored.
        mix_environments: Whether a record of another device kind or torch release may be continued.
        progress: Whether to show the progress; None for terminals and notebooks.

    Raises:
        UserError: A part is of the wrong kind, or parts do not fit together.
    """
    asked = Asked(
        defense=defense,
        attack=attack,
        data=data,
        classifier=classifier,
        score_model=score_model,
        normalize=normalize if processor is None else processor,
        arguments={
            "defense": defense_args or {},
            "attack": attack_args or {},
            "classifier": classifier_args or {},
            "score_model": score_args or {},
        },
        device=device,
        data_dir=Path(data_dir) if data_dir is not None else None,
    )
    with reporter(progress) as shown, untouched(*asked.objects):
        parts = find_parts(asked)
        check_complete(parts)
        request = Request(
            **parts.names,  # type: ignore[arg-type]
            threat=_threat(threat, isinstance(data, str)),
            draws=draws,
            seed=seed,
            data_dir=asked.data_dir,
            arguments=parts.arguments,
        )
        options = Options(
            samples=_samples(n, parts.in_memory),
            results=Path(results),
            device=parts.device,
            batch_size=batch_size,
            evidence=evidence,
            mix_environments=mix_environments,
        )
        planned = plan(request, parts.registry, parts.cache)
        if images_missing(planned, options)[0]:
            check_classifier(planned, options, own=not isinstance(classifier, str | None))
        summary = run(planned, options, shown)
    ids = planned.dataset.ids[: summary["n"]]
    return Result(Path(summary["path"]), ids=ids, asked=asked)


def _threat(threat: str | ThreatModel | None, named: bool) -> ThreatModel | None:
    if threat is None and not named:
        raise UserError("threat-missing")
    return ThreatModel.parse(threat) if isinstance(threat, str) else threat


def _samples(n: int | str | None, in_memory: bool) -> int | None:
    """The number of images; None for all."""
    if n is None:
        return None if in_memory else SAMPLES
    if n == "all":
        return None
    if not isinstance(n, int) or isinstance(n, bool):
        raise UserError("samples-kind", got=repr(n))
    return n
