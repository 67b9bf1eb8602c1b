"""Statistics of a run: mean, standard errors, pass@k.

What belongs here: formulas over records. What does not: judging one answer (``evaluators``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl


def mean_and_errors(
    scores: Sequence[float], clusters: Sequence[str]
) -> tuple[float, float | None, float | None]:
    """Mean score, its standard error, and the one clustered by prompt; errors None below two (clusters).

    Scores are 0-1. The first error is the sample's deviation over the root of n. The second sums deviations
    within clusters before squaring, with the small-sample factor G/(G-1): Miller 2024, "Adding Error Bars
    to Evals", section 2.2 (Liang and Zeger 1986). Where no prompt repeats, both are equal.
    """
    count = len(scores)
    mean = math.fsum(scores) / count
    deviations = [score - mean for score in scores]
    plain = None
    if count > 1:
        plain = math.sqrt(math.fsum(d * d for d in deviations) / (count - 1) / count)
    sums: dict[str, float] = {}
    for cluster, deviation in zip(clusters, deviations, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + deviation
    groups = len(sums)
    clustered = None
    if groups > 1:
        squared = math.fsum(total * total for total in sums.values())
        clustered = math.sqrt(squared * groups / (groups - 1)) / count
    return mean, plain, clustered


def pass_at_k(attempts: int, right: int, k: int) -> float:
    """Probability that one of ``k`` of ``attempts`` samples is right, unbiased: 1 - C(n-c, k) / C(n, k).

    Chen et al. 2021, "Evaluating Large Language Models Trained on Code", equation 1. Needs 1 <= k <=
    attempts.
    """
    if not 1 <= k <= attempts or not 0 <= right <= attempts:
        raise ValueError(f"pass@{k} of {attempts} attempts with {right} right does not exist")
    if attempts - right < k:
        return 1.0
    return 1.0 - math.comb(attempts - right, k) / math.comb(attempts, k)


_UNKNOWN = ("score", "standard_error", "clustered_standard_error", "k", "pass_at_1", "pass_at_k")


def score_run(records: pl.DataFrame, *, binary: bool) -> dict[str, float | int | None]:
    """Figures of one run from its judged records (``position``, ``repetition``, ``cluster``, ``score``).

    ``n`` counts judged records, ``prompts`` distinct rows, ``clusters`` distinct prompts; ``score`` and its
    errors are 0-1; ``k`` is the number of repetitions that every row has, and pass@1 and pass@k are over
    rows (None where scores are not 0 or 1).
    """
    judged = records.filter(pl.col("score").is_not_null())
    if not judged.height:
        return {**dict.fromkeys(("n", "prompts", "clusters"), 0), **dict.fromkeys(_UNKNOWN)}
    mean, plain, clustered = mean_and_errors(judged["score"].to_list(), judged["cluster"].to_list())
    rows = judged.group_by("position").agg(n=pl.len(), right=(pl.col("score") >= 1).sum()).sort("position")
    shortest = rows["n"].min()
    k = int(shortest) if isinstance(shortest, int) else 1
    tallies = list(zip(rows["n"].to_list(), rows["right"].to_list(), strict=True))

    def over_rows(drawn: int) -> float:
        return math.fsum(pass_at_k(n, right, drawn) for n, right in tallies) / len(tallies)

    return {
        "n": judged.height,
        "prompts": rows.height,
        "clusters": judged["cluster"].n_unique(),
        "score": mean,
        "standard_error": plain,
        "clustered_standard_error": clustered,
        "k": k if binary else None,
        "pass_at_1": over_rows(1) if binary else None,
        "pass_at_k": over_rows(k) if binary else None,
    }
