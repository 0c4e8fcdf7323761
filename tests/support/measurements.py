"""Everything that a record stores, and where each value is judged or shown.

A path names a file and the keys to a value: `[]` is any item of a list, `*` any key, `**` all that is below. A value is *judged* if
a bad one changes a verdict, a flag or an exit code, by the command that is named; else it is *shown*: what people read depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RUN, LINES, AUDIT = "run.json", "samples.jsonl", "audit.json"


@dataclass(frozen=True)
class Judged:
    """A value that is judged.

    Arguments:
        path: Where it is stored.
        by: `read` (every command refuses the record), `resume` (`bench run` does), `verify`, `gate`, `board` (a flag or a missing
            rank), `audit` (exit code), or `claim NAME`: the value is bad only where that claim failed.
        bad: A bad value.
    """

    path: str
    by: str
    bad: Any = None


@dataclass(frozen=True)
class Shown:
    """A value that people are shown by `bench show`, in its text or with `--json`.

    Arguments:
        path: Where it is stored.
        alone: Whether it is shown as it is, and not inside a sum, a share or the largest of many.
    """

    path: str
    alone: bool = True


TABLE = [
    # the header
    Judged(f"{RUN}/format", "read", 2),
    Judged(f"{RUN}/run_id", "verify", "0123456789ab"),
    *(Judged(f"{RUN}/spec/{role}/{key}", "verify", "other") for role in ("defense", "attack", "classifier", "score_model", "dataset") for key in ("name", "sha256", "gradient")),
    Judged(f"{RUN}/spec/*/args/**", "verify", "other"),
    Judged(f"{RUN}/spec/attack/knowledge", "verify", "fresh"),
    Judged(f"{RUN}/spec/attack/package", "verify", "pyautoattack 9.9"),
    Judged(f"{RUN}/spec/score_model", "verify", {"name": "other"}),
    Judged(f"{RUN}/spec/threat", "verify", "linf:1/2"),
    Judged(f"{RUN}/spec/draws", "verify", 7),
    Judged(f"{RUN}/spec/seed", "verify", 7),
    Judged(f"{RUN}/spec/keyed", "verify", "image by image"),
    Shown(f"{RUN}/labels/*"),
    Shown(f"{RUN}/notes/[]"),
    Shown(f"{RUN}/checks/deterministic"),
    Shown(f"{RUN}/checks/range/[]"),
    Shown(f"{RUN}/checks/differentiable"),
    Judged(f"{RUN}/checks/gradient_finite", "claim finite gradients", False),
    Judged(f"{RUN}/checks/gradient_nonzero", "claim zero gradients", 0.0),
    Judged(f"{RUN}/checks/gradient_error", "board", 0.3),
    Shown(f"{RUN}/checks/claims/[]/check"),
    Shown(f"{RUN}/checks/claims/[]/value"),
    Shown(f"{RUN}/checks/claims/[]/value/**"),
    Shown(f"{RUN}/checks/claims/[]/threshold"),
    Shown(f"{RUN}/checks/claims/[]/meaning"),
    Judged(f"{RUN}/checks/claims/[]/verdict", "gate", "failed"),
    *(Judged(f"{RUN}/environments/*/{key}", "resume", "other") for key in ("purebench", "torch", "device")),
    *(Shown(f"{RUN}/environments/*/{key}") for key in ("device_name", "instructions", "batch_size", "git")),
    Shown(f"{RUN}/environments/*/tf32", alone=False),
    # a line
    Judged(f"{LINES}/id", "verify", 77),
    Judged(f"{LINES}/label", "verify", 2),
    Judged(f"{LINES}/clean/[]", "verify", 3),
    Judged(f"{LINES}/adversarial/[]", "verify", 3),
    Judged(f"{LINES}/margin/[]", "verify", 55.0),
    Judged(f"{LINES}/distance", "verify", 0.5),
    Judged(f"{LINES}/environment", "verify", "0123456789ab"),
    Shown(f"{LINES}/cost/*", alone=False),
    Shown(f"{LINES}/seconds", alone=False),
    Shown(f"{LINES}/memory", alone=False),
    Shown(f"{LINES}/certified", alone=False),
    Shown(f"{LINES}/said/claimed", alone=False),
    Judged(f"{LINES}/said/flags/[]", "board", "beware"),
    Shown(f"{LINES}/said/*"),
    # an audit
    Shown(f"{AUDIT}/format"),
    Judged(f"{AUDIT}/run_id", "board", "0123456789ab"),
    Judged(f"{AUDIT}/verdict", "board", "refuted"),
    Judged(f"{AUDIT}/flags/[]", "board", "beware"),
    Judged(f"{AUDIT}/checks/[]/verdict", "audit", "suspect"),
    Judged(f"{AUDIT}/sha256", "verify", "0" * 64),
    *(Shown(f"{AUDIT}/{key}") for key in ("spec_sha256", "n", "size", "missing/[]", "environment/*")),
    *(Shown(f"{AUDIT}/checks/[]/{key}") for key in ("name", "threshold", "meaning", "command", "n", "size", "seconds", "values/**", "predicted/**")),
]  # fmt: skip


def fits(path: str, pattern: str) -> bool:
    """Whether a pattern of the table names a path."""
    if pattern.endswith("/**"):
        start = pattern.removesuffix("/**").split("/")
        parts = path.split("/")
        return len(parts) > len(start) and fits("/".join(parts[: len(start)]), "/".join(start))
    pairs = list(zip(path.split("/"), pattern.split("/"), strict=False))
    return path.count("/") == pattern.count("/") and all(part == wanted or wanted == "*" for part, wanted in pairs)


def rows_of(path: str) -> list[Judged | Shown]:
    """The rows that name a path; a key that is named in full is not meant by `*`."""
    found = [row for row in TABLE if fits(path, row.path)]
    return [row for row in found if "*" not in row.path.removesuffix("/**")] or found


def leaves(value: Any, path: str, place: tuple[Any, ...] = ()) -> list[tuple[str, tuple[Any, ...], Any]]:
    """The path, the keys and the value of everything in a document that holds nothing else."""
    if isinstance(value, dict):
        return [leaf for key, part in value.items() for leaf in leaves(part, f"{path}/{key}", (*place, key))]
    if isinstance(value, list):
        return [leaf for key, part in enumerate(value) for leaf in leaves(part, f"{path}/[]", (*place, key))]
    return [(path, place, value)]
