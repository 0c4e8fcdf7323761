"""What is said below a board: what its numbers claim, how sure they are, and what to run next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.audit.strength import FEW as FEW_EXAMINED
from bench.audit.strength import PASSED
from bench.text.words import counted
from leaderboards.assembly import FEW
from leaderboards.boards import Board
from leaderboards.rows import Row

CLAIMED = "**Claimed**: the worst case counts an image only if it is right without an attack and survives every attack that counts."
COST = "Minutes to hours each: `--dry-run` says how many; `--attack autoattack-fast` takes less than the reference."


def constant(values: Mapping[str, str]) -> list[str]:
    """The columns that are the same in all rows, with their values."""
    return [f"All rows: {'; '.join(f'{title}: {text}' for title, text in values.items())}."] if values else []


def sure(board: Board, rows: Sequence[Row]) -> dict[str, str]:
    """What the uncertainty in each column means, by its title.

    Arguments:
        board: The board.
        rows: The rows of the table.
    """
    sizes = sorted({part.audited for row in rows for part in row.runs if part.audited})
    few = any(row.verdict == PASSED for row in rows)
    believed = (
        f" what an audit found ({'; '.join(sizes)}): it excludes large errors, not small ones." if sizes else "",
        f" `passed`: nothing spoke against it on fewer than {FEW_EXAMINED} images, too few to be believed."
        if few
        else "",
    )
    shared = next((row.shared.n for row in rows if row.shared), None)
    found = {
        "worst case %": "In brackets 95 % intervals, in percent.",
        "rank 95 %": "Rank 95 %: the ranks that paired tests on common images leave open, all of them right at once with 95 %.",
        "Δ undefended": "Δ undefended: the worst case minus that of the classifier alone, in points.",
        "Δ null attack": "Δ null attack: the worst case minus the same without an attack, in points.",
        "shared images %": f"Shared images: the worst case on the {shared} images that all these rows have."
        if shared
        else "",
        "p": f"p: two-sided paired test of the worst case against **{board.reference}** on the same images, Holm-corrected.",
        "believed": f"Believed:{''.join(believed)}" if any(believed) else "",
    }
    return {title: text for title, text in found.items() if text}


def unranked(board: Board) -> str:
    """Why rows are not ranked."""
    return (
        f"Incomplete, so not ranked: a row needs attacks of the classes {', '.join(board.required)}, and {FEW} images. "
        'Other classes: --require, as in --require "full gradient".'
    )


def following(board: Board) -> str:
    """The options that show what to run next."""
    runs, audits = completing(board), auditing(board)
    parts = [f"{counted(len(runs), 'run')} that complete {counted(len(board.incomplete), 'row')}"] if runs else []
    parts += [f"{counted(len(audits), 'audit')} of deciding attacks"] if audits else []
    shown = [f"`--commands` prints the commands of {' and '.join(parts)}"] if parts else []
    shown += [f"`--runs` lists the {counted(sum(len(row.runs) for row in board.every), 'run')} behind the board"]
    return f"**Next**: {'; '.join(shown)}; `bench audit RUN --quick` asks whether a number can be believed."


def completing(board: Board) -> list[str]:
    """The commands that complete the rows that are not ranked."""
    return list(dict.fromkeys(command for row in board.incomplete for command in row.commands))


def auditing(board: Board) -> list[str]:
    """The audits of the deciding attack of rows of which only a weaker attack was audited."""
    return list(dict.fromkeys(row.unaudited.audit for row in board.every if row.unaudited))


def commands(board: Board) -> list[str]:
    """The commands to run next, in fences."""
    runs, audits = completing(board), auditing(board)
    shown = ["What completes these rows:", _fenced(runs), COST] if runs else []
    return shown + (["What audits the deciding attacks:", _fenced(audits)] if audits else [])


def _fenced(lines: Sequence[str]) -> str:
    return "\n".join(["```sh", *lines, "```"])
