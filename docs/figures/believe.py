"""The pictures of docs/believe.md, from real runs and their audits.

Run at the root of a checkout: `python docs/figures/believe.py`. It makes (or resumes) a few small runs below
`results/believe`, audits them, and writes PNG files beside this script.
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl

from bench.cli.main import main
from bench.records.lookup import record_paths

HERE, RESULTS, IMAGES = Path(__file__).parent, Path("results/believe"), 16
RUNS = {
    "median": ("pgd-full", []), "total-variation": ("pgd-full", []), "tweedie": ("pgd-full", []), "dpsam": ("pgd-full", []),
    "denoise-once": ("pgd-eot", ["-A", "losses=cw", "-A", "steps=10"]),
}  # fmt: skip
CHECKS = ("gradient-path", "compression", "eot-convergence", "indicators")
INK, SOFT, ACCENT = "#222222", "#999999", "#1f6f8b"


def make() -> dict[str, dict]:
    """The audits by defense; what exists is kept."""
    for defense, (attack, more) in RUNS.items():
        words = ["--results", str(RESULTS), "--quiet"]
        main(["run", "--defense", defense, "--attack", attack, "-n", str(IMAGES), *more, *words])
    audits = {}
    for path in record_paths(RESULTS):
        name = json.loads((path / "run.json").read_text())["spec"]["defense"]["name"]
        only = [word for check in CHECKS for word in ("--only", check)]
        main(["audit", str(path), "--quick", "-n", str(IMAGES), *only, "--results", str(RESULTS), "--quiet"])
        audits[name] = {
            check["name"]: check["values"] for check in json.loads((path / "audit.json").read_text())["checks"]
        }
        lines = [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]
        audits[name]["robust"] = sum(
            sum(p == line["label"] for p in line["adversarial"]) / len(line["adversarial"]) for line in lines
        ) / len(lines)
    return audits


def draw(audits: dict[str, dict]) -> None:
    """Three pictures."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "font.size": 8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": SOFT,
            "text.color": INK,
        }
    )

    figure, (left, right) = plt.subplots(1, 2, figsize=(5.6, 2.1), layout="constrained")
    path = audits["dpsam"]["gradient-path"]
    left.semilogy(path["steps"], path["norms"], "o-", color=ACCENT)
    left.set(
        xlabel="steps of dpsam",
        ylabel="median norm of the gradient",
        xticks=path["steps"],
        ylim=(min(path["norms"]) / 10, max(path["norms"]) * 10),
    )
    right.plot(path["steps"][1:], path["signs that agree"], "o-", color=ACCENT)
    right.axhline(0.5, color=SOFT, lw=0.8, ls="--")
    right.set(
        xlabel="steps of dpsam", ylabel="signs that agree\nwith fewer steps", xticks=path["steps"][1:], ylim=(0.4, 1)
    )
    figure.savefig(HERE / "gradient-path.png", dpi=130)

    figure, axes = plt.subplots(figsize=(5.6, 2.3), layout="constrained")
    for name, found in audits.items():
        rates = found.get("compression", {})
        if "adversarial" not in rates:
            continue
        axes.plot([rates["random"], rates["adversarial"]], [100 * found["robust"]] * 2, color=SOFT, lw=0.8)
        axes.plot(rates["random"], 100 * found["robust"], "o", mfc="white", color=ACCENT)
        axes.plot(rates["adversarial"], 100 * found["robust"], "o", color=ACCENT)
        axes.annotate(
            name,
            (rates["adversarial"], 100 * found["robust"]),
            xytext=(7, -10 if name == "tweedie" else 4),
            textcoords="offset points",
        )
    axes.axvline(1, color=SOFT, lw=0.8, ls="--")
    axes.set(xlabel="compression rate (hollow: random, filled: adversarial)", ylabel="robust %", ylim=(-4, 80))
    figure.savefig(HERE / "compression.png", dpi=130)

    figure, axes = plt.subplots(figsize=(5.6, 2.1), layout="constrained")
    found = audits["denoise-once"]["eot-convergence"]["cosine by draws"]
    draws, cosines = [int(key) for key in found], list(found.values())
    share = cosines[0]
    fine = range(1, max(draws) + 1)
    axes.plot(
        fine,
        [share / (share + (1 - share) / e) for e in fine],
        color=SOFT,
        lw=0.8,
        ls="--",
        label="from the first by the formula",
    )
    axes.plot(draws, cosines, "o", color=ACCENT, label="measured, denoise-once")
    axes.set(xlabel="draws averaged (eot)", ylabel="cosine of two averages", xticks=draws, ylim=(0, 1.02))
    axes.legend(frameon=False)
    figure.savefig(HERE / "eot-convergence.png", dpi=130)


if __name__ == "__main__":
    draw(make())
