"""The details of a record in `bench show`: its parts, checks, environments and seal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from bench.records.claim import FAILED, PASSED
from bench.records.command import argument_text
from bench.records.header import Environment, RecordedClaim
from bench.records.record import Record
from bench.records.seal import broken_seal
from bench.records.spec import Component, RunSpec
from bench.text.columns import WIDTH, columns
from bench.text.words import counted, percent

ROLES = ("defense", "attack", "dataset", "classifier", "score_model")


def record_text(record: Record, summary: Mapping[str, Any], audit: Mapping[str, Any] | None) -> str:
    """The parts, checks, environments and seal of a run, and a sentence to cite it.

    Arguments:
        record: The record.
        summary: Its figures.
        audit: Its audit; None without one.
    """
    header, images = record.header, len(record.lines)
    lines = [
        *_parts(header.spec),
        ("images", _images(header.spec, images)),
        *_claims(header.checks.claims),
    ]
    lines += [("made with", _environment(one)) for one in header.environments.values()]
    lines += [("seal", _seal(record)), ("to cite", citation(summary, header.labels.model_dump(), audit))]
    return columns(lines, WIDTH)


def _audited(audit: Mapping[str, Any]) -> str:
    from bench.audit.strength import examined, word

    size, images = examined(audit)
    return f"{word(audit)} by a {size} audit of the first {images} images"


def citation(summary: Mapping[str, Any], labels: Mapping[str, str], audit: Mapping[str, Any] | None) -> str:
    """One sentence to cite a number: with its interval, images, attack, threat and audit, and as an upper bound."""
    spec, k = summary["spec"], summary["draws"]["k"]
    mean = f", the mean over {k} draws" if k > 1 else ""
    audited = _audited(audit) if audit else "not audited"
    return (
        f"{percent(summary['robust_accuracy'])} of the first {summary['n']} {spec['dataset']['name']} images withstand {labels['attack']} at "
        f"{spec['threat']} with {labels['defense']}{mean}, an upper bound; {audited} (purebench run {summary['run_id']})"
    )


def _images(spec: RunSpec, images: int) -> str:
    draws = counted(spec.draws, "draw")
    return f"{images}, the first of the data set's order; {draws} each, seed {spec.seed}"


def _seal(record: Record) -> str:
    if not record.sealed:
        return "none: the run is not complete"
    broken = broken_seal(record.path)
    return f"BROKEN: {'; '.join(broken)}" if broken else "every file is unchanged since it was sealed"


def _parts(spec: RunSpec) -> list[tuple[str, str]]:
    lines = []
    for role in ROLES:
        part: Component | None = getattr(spec, role)
        if part:
            words = [part.name, *(f"{name}={argument_text(value)}" for name, value in part.args.items())]
            lines.append((role.replace("_", " "), " ".join(words + _content(part.sha256))))
    return lines


def _content(sha256: str | None) -> list[str]:
    return [f"(content {sha256[:12]})"] if sha256 else []


def _claims(claims: list[RecordedClaim]) -> list[tuple[str, str]]:
    if not claims:
        return []
    counts = Counter(claim.verdict for claim in claims)
    lines = [("checks", ", ".join(f"{counts[verdict]} {verdict}" for verdict in sorted(counts, key=_place)))]
    return lines + [
        ("", f"{claim.check} {claim.verdict}: {claim.meaning}") for claim in claims if claim.verdict == FAILED
    ]


def _place(verdict: str) -> tuple[bool, str]:
    return verdict != PASSED, verdict


def _environment(environment: Environment) -> str:
    releases = (("purebench", environment.purebench), ("torch", environment.torch))
    parts = [f"{name} {release}" for name, release in releases if release is not None]
    device = (environment.device, environment.device_name, environment.instructions)
    parts += [word for word in device if word is not None]
    parts += ["TF32 on"] if environment.tf32 else []
    parts += [f"batch {environment.batch_size}"] if environment.batch_size is not None else []
    return ", ".join([*parts, *([f"git {environment.git}"] if environment.git else [])])
