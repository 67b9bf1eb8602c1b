"""How strong each competitor is over many comparisons, with intervals: the Bradley-Terry model.

What belongs here: estimating. What does not: what counts as a comparison (``comparing``).

The model: i beats j with probability 1 / (1 + exp(-(s_i - s_j))), Bradley and Terry (Biometrika 1952).
Maximum likelihood by ``choix`` (iterative Luce spectral ranking, Maystre and Grossglauser 2015). A tie
is half a win for each side. A ranking of several counts as all its pairs. Strengths are on the logit
scale and centred on 0 within their group of competitors that are connected by comparisons; across groups
nothing can be said.

Intervals are normal ones at 95 %. The covariance is the inverse of the observed information; where 30 or
more sessions contribute it is the sandwich estimator with the session as cluster (Huber-White), since
comparisons of one session share a prompt and a judge. Where somebody never lost or never won, the
likelihood has no maximum: then the estimate is regularised and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import numpy as np

SESSIONS_FOR_CLUSTERS = 30
REGULARISATION = 0.01
Z = 1.959963984540054
LARGEST_GROUP = 1_000
"""Competitors estimated together; of more, those with the most comparisons are."""

STRENGTH_SCHEMA: dict[str, pl.DataType] = {
    "competitor": pl.String(),
    "pool": pl.Int64(),
    "strength": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "win_probability": pl.Float64(),
    "comparisons": pl.Int64(),
    "wins": pl.Float64(),
    "sessions": pl.Int64(),
    "method": pl.String(),
}
"""``win_probability`` is the mean over the group of the probability to win; ``method`` says how the interval
was made."""


@dataclass(frozen=True)
class _Contest:
    """Comparisons of one connected group, by number of competitor."""

    left: np.ndarray[Any, Any]
    right: np.ndarray[Any, Any]
    wins: np.ndarray[Any, Any]
    sessions: np.ndarray[Any, Any]
    size: int


def strengths(compared: pl.DataFrame) -> pl.DataFrame:
    """Strengths (``STRENGTH_SCHEMA``) from columns left, right, left_wins and session_id.

    Comparisons of a competitor with itself say nothing and are left out.
    """
    usable = compared.filter(
        (pl.col("left") != pl.col("right")) & pl.col("left").is_not_null() & pl.col("right").is_not_null()
    )
    rows: list[dict[str, Any]] = []
    for number, names in enumerate(_groups(usable), start=1):
        kept = _largest(usable, names)
        rows += _fit(usable.filter(pl.col("left").is_in(kept) & pl.col("right").is_in(kept)), kept, number)
    return pl.DataFrame(rows, schema=STRENGTH_SCHEMA, orient="row").sort(
        ["pool", "strength", "competitor"], descending=[False, True, False]
    )


def _groups(compared: pl.DataFrame) -> list[list[str]]:
    """Competitors that comparisons connect, largest group first."""
    above: dict[str, str] = {}

    def top(name: str) -> str:
        above.setdefault(name, name)
        while above[name] != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for left, right in compared.select("left", "right").unique(maintain_order=True).iter_rows():
        above[top(left)] = top(right)
    members: dict[str, list[str]] = {}
    for name in sorted(above):
        members.setdefault(top(name), []).append(name)
    return sorted(members.values(), key=lambda names: (-len(names), names[0]))


def _largest(compared: pl.DataFrame, names: Sequence[str]) -> list[str]:
    if len(names) <= LARGEST_GROUP:
        return list(names)
    counts = pl.concat([compared["left"], compared["right"]]).value_counts().rename({"left": "name"})
    most = counts.filter(pl.col("name").is_in(list(names))).sort(["count", "name"], descending=[True, False])
    return sorted(most["name"].head(LARGEST_GROUP).to_list())


def _fit(compared: pl.DataFrame, names: list[str], group: int) -> list[dict[str, Any]]:
    import numpy as np

    number = {name: index for index, name in enumerate(names)}
    codes = {one: index for index, one in enumerate(compared["session_id"].unique(maintain_order=True))}
    contest = _Contest(
        np.array([number[name] for name in compared["left"]], dtype=int),
        np.array([number[name] for name in compared["right"]], dtype=int),
        compared["left_wins"].to_numpy(),
        np.array([codes[one] for one in compared["session_id"]], dtype=int),
        len(names),
    )
    estimates, regularised = _maximum_likelihood(contest)
    deviations, method = _standard_errors(contest, estimates, len(codes))
    chances = 1 / (1 + np.exp(estimates[None, :] - estimates[:, None]))
    count, wins, seen = _records(contest)
    rows = []
    for name, index in number.items():
        rows.append(
            {
                "competitor": name,
                "pool": group,
                "strength": float(estimates[index]),
                "low": float(estimates[index] - Z * deviations[index]),
                "high": float(estimates[index] + Z * deviations[index]),
                "win_probability": float((chances[index].sum() - 0.5) / (len(names) - 1)),
                "comparisons": int(count[index]),
                "wins": float(wins[index]),
                "sessions": int(seen[index]),
                "method": method + (", regularised" if regularised else ""),
            }
        )
    return rows


def _records(contest: _Contest) -> tuple[Any, Any, Any]:
    """Comparisons, wins and sessions of each competitor."""
    import numpy as np

    who = np.concatenate([contest.left, contest.right])
    won = np.concatenate([contest.wins, 1 - contest.wins])
    both = np.unique(np.concatenate([contest.sessions, contest.sessions]) * contest.size + who)
    return (
        np.bincount(who, minlength=contest.size),
        np.bincount(who, weights=won, minlength=contest.size),
        np.bincount(both % contest.size, minlength=contest.size),
    )


def _maximum_likelihood(contest: _Contest) -> tuple[np.ndarray[Any, Any], bool]:
    """Strengths centred on 0, and whether they had to be regularised."""
    import choix
    import numpy as np
    from scipy.sparse.csgraph import connected_components

    won = np.zeros((contest.size, contest.size))
    np.add.at(won, (contest.left, contest.right), contest.wins)
    np.add.at(won, (contest.right, contest.left), 1 - contest.wins)
    parts, _ = connected_components(won > 0, directed=True, connection="strong")
    regularised = bool(parts > 1)
    estimates = choix.ilsr_pairwise_dense(
        won, alpha=REGULARISATION if regularised else 0.0, max_iter=1000, tol=1e-9
    )
    return estimates - estimates.mean(), regularised


def _standard_errors(
    contest: _Contest, estimates: np.ndarray[Any, Any], sessions: int
) -> tuple[np.ndarray[Any, Any], str]:
    import numpy as np

    left, right = contest.left, contest.right
    chance = 1 / (1 + np.exp(estimates[right] - estimates[left]))
    weight = chance * (1 - chance)
    information = np.zeros((contest.size, contest.size))
    np.add.at(information, (left, left), weight)
    np.add.at(information, (right, right), weight)
    np.add.at(information, (left, right), -weight)
    np.add.at(information, (right, left), -weight)
    # The information is the Laplacian of a connected graph: singular along (1, …, 1) alone. Shifting that
    # direction by a known amount gives the pseudo-inverse without a tolerance to choose.
    shift = np.full_like(information, 1 / contest.size)
    covariance = np.linalg.inv(information + shift) - shift
    if sessions < SESSIONS_FOR_CLUSTERS:
        return np.sqrt(np.clip(np.diag(covariance), 0, None)), "observed information"
    # Sparse, since a session compares a few of the competitors: a full table of a million sessions by a
    # thousand competitors would take 8 GB.
    from scipy.sparse import coo_array

    residual = contest.wins - chance
    who = (np.concatenate([contest.sessions, contest.sessions]), np.concatenate([left, right]))
    scores = coo_array((np.concatenate([residual, -residual]), who), shape=(sessions, contest.size)).tocsr()
    robust = covariance @ (scores.T @ scores).toarray() @ covariance * sessions / (sessions - 1)
    return np.sqrt(np.clip(np.diag(robust), 0, None)), "sandwich by session"
