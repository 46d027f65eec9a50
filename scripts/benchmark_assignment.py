"""Measure the assignment of proposals under caps beside plain top-k; --report writes docs/assignment.md.

    python scripts/benchmark_assignment.py [--report] [--cache var/models] [--size 20000] [--seed 0]

Markets: our benchmark through the product's own pipeline, and a generated one (see assignment_markets.py).
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from pathlib import Path

import numpy as np
from assignment_markets import BEST, CANDIDATES, PLAIN, TENTH, Scene, generated, likeness, our_pairs, scene_of_all
from corpora import ROOT
from scipy.optimize import linprog
from scipy.sparse import csr_array, vstack

from matching import Caps, assign, load_models
from matching.assignment import Chosen
from matching.evaluation import best_of_each

CURVE = (1, 2, 3, 5, 10, 15, 20, 25, 30, 50)
BONUSES = (0.0, 1.0, 2.0, 4.0, None, 100.0)
ORGANISATION_CAPS = (None, 2_000, 500, 100)
SOLVERS = 4_000  # offers, and needs, on which the solvers are compared
HEAD = """| proposals by | proposals | total | of top-10's | Gini offers | Gini needs | reached offers | reached needs \
| most offer | most need | s |
|---|---|---|---|---|---|---|---|---|---|---|"""


@cache
def capped(scene: Scene, cap: int | None, bonus: float | None = None) -> Chosen:
    """What is assigned under one cap for both sides; solved once."""
    return assign(scene.pairs, Caps(cap, cap), scene.threshold, first_bonus=bonus)


def row(scene: Scene, label: str, chosen: Chosen, seconds: float | None = None) -> str:
    """A table row: what is chosen and how it is spread."""
    e, plain = scene.spread(chosen), scene.reference
    return (
        f"| {label} | {e.proposals:,} | {e.total:,.0f} | {e.total / plain.total:.3f} | {e.gini_offers:.3f} "
        f"| {e.gini_needs:.3f} | {e.reached_offers:.3f} | {e.reached_needs:.3f} | {e.most_offers:,} | {e.most_needs:,} "
        f"| {'' if seconds is None else f'{seconds:.2f}'} |"
    )


def timed(scene: Scene, label: str, choose: Callable[[], Chosen]) -> str:
    """`row` with the time that choosing took."""
    start = time.perf_counter()
    chosen = choose()
    return row(scene, label, chosen, time.perf_counter() - start)


def curve(scene: Scene) -> Iterator[str]:
    """Plain top-k and the cap of the same number, one below the other."""
    for k in CURVE:
        yield timed(scene, f"top-{k}", lambda k=k: scene.plain(k))
        mark = "**" if Caps(k, k) == Caps() else ""
        yield timed(scene, f"{mark}cap {k}{mark}", lambda k=k: capped(scene, k))
    yield timed(scene, "no cap", lambda: capped(scene, None))


def as_many(scene: Scene) -> Iterator[str]:
    """Plain rules, and for each cap at most as many proposals as plain top-10 makes."""
    pairs, most = scene.pairs, scene.reference.proposals
    worthy = pairs.worth(scene.threshold) >= 0
    for side, own, other in (("need", pairs.needs, pairs.offers), ("offer", pairs.offers, pairs.needs)):
        yield row(scene, f"each {side}'s 10 best", worthy & best_of_each(own, other, pairs.log_odds, PLAIN))
    yield row(scene, "top-10: both together", scene.plain())
    yield row(scene, "the likeliest", pairs.log_odds >= likeliest(scene, most))
    for cap in CURVE:
        if cap >= PLAIN:
            yield row(scene, f"cap {cap}", at_most(scene, cap, most))


def likeliest(scene: Scene, most: int) -> float:
    """Log-odds from which so many pairs are proposed when nothing else counts."""
    return float(np.sort(scene.pairs.log_odds[scene.pairs.worth(scene.threshold) >= 0])[-most])


@cache
def at_most(scene: Scene, cap: int, most: int) -> Chosen:
    """The assignment with at most so many proposals: the threshold rises until there are no more."""
    low, high = np.log(scene.threshold / (1 - scene.threshold)), likeliest(scene, most)
    fitting = capped(scene, cap)
    if fitting.sum() <= most:
        return fitting
    fitting = capped(raised(scene, high), cap)
    for _ in range(7):
        middle = (low + high) / 2
        chosen = capped(raised(scene, middle), cap)
        low, high, fitting = (low, middle, chosen) if chosen.sum() <= most else (middle, high, fitting)
    return fitting


def raised(scene: Scene, log_odds: float) -> Scene:
    """The same market with another threshold."""
    return dataclasses.replace(scene, threshold=float(1 / (1 + np.exp(-log_odds))))


def bonuses(scene: Scene) -> Iterator[str]:
    """What the first proposal of each listing costs, under two caps."""
    for caps, bonus in product((Caps(5, 5), Caps()), BONUSES):
        label = f"cap {caps.offer}, " + ("**the greatest worth**" if bonus is None else f"{bonus:g}")
        again = partial(assign, scene.pairs, caps, scene.threshold, first_bonus=bonus)
        yield timed(scene, label, again)


def organisations(scene: Scene) -> Iterator[str]:
    """The default caps of listings, with caps of organisations beside them."""
    for cap in ORGANISATION_CAPS:
        caps = dataclasses.replace(Caps(), organisation=cap)
        label = "**no cap**" if cap is None else f"{cap:,}"
        yield timed(scene, label, lambda caps=caps: assign(scene.pairs, caps, scene.threshold))


def summary(scene: Scene) -> Iterator[str]:
    """Table rows: the default caps against plain top-10, with all they allow and with as many proposals at most."""
    before, cap = scene.reference, Caps().offer
    assert cap is not None
    for label, chosen in ((f"cap {cap}", capped(scene, cap)), fairest(scene)):
        e = scene.spread(chosen)
        yield (
            f"| {scene.name} | {label} | {e.proposals / before.proposals:.2f} | {e.total / before.total:.3f} "
            f"| {before.gini_offers:.3f} → {e.gini_offers:.3f} | {before.gini_needs:.3f} → {e.gini_needs:.3f} "
            f"| {before.most_offers:,} → {e.most_offers:,} | {before.most_needs:,} → {e.most_needs:,} |"
        )


def fairest(scene: Scene) -> tuple[str, Chosen]:
    """The lowest cap that keeps 95 % of plain top-10's total with at most as many proposals, else the highest."""
    for cap in CURVE:
        chosen = at_most(scene, cap, scene.reference.proposals)
        if scene.spread(chosen).total >= 0.95 * scene.reference.total:
            break
    return f"cap {cap}, at most as many", chosen


def solvers(scene: Scene) -> Iterator[str]:
    """The flow beside HiGHS on the same linear programme, without the bonus, at the default caps."""
    pairs, start = scene.pairs, time.perf_counter()
    flow = scene.spread(capped(scene, Caps().offer, 0.0)).total
    yield f"| OR-tools, minimum-cost flow | {len(pairs):,} | {flow:,.3f} | {time.perf_counter() - start:.2f} |"
    start, each = time.perf_counter(), np.arange(len(pairs))
    sides = ((pairs.offers, len(pairs.offer_owner), Caps().offer), (pairs.needs, len(pairs.need_owner), Caps().need))
    rows = vstack([csr_array((np.ones(len(pairs)), (of, each)), shape=(size, len(pairs))) for of, size, _ in sides])
    limits = np.concatenate([np.full(size, cap or len(pairs)) for _, size, cap in sides])
    solved = linprog(-pairs.worth(scene.threshold), A_ub=rows, b_ub=limits, bounds=(0, 1), method="highs")
    yield f"| SciPy, HiGHS | {len(pairs):,} | {-solved.fun:,.3f} | {time.perf_counter() - start:.2f} |"


def chart(scene: Scene) -> Iterator[str]:
    """A line a cap: share of plain top-10's total, and Gini (mean of both sides), as bars."""
    plain = scene.reference
    under = [(f"cap {cap}", scene.spread(capped(scene, cap))) for cap in CURVE]
    for label, e in [("top-10", plain), *under]:
        share, unequal = e.total / plain.total, (e.gini_offers + e.gini_needs) / 2
        bars = "#" * round(20 * share), "=" * round(40 * unequal)
        yield f"{label:>6}  total {share:4.2f} {bars[0]:<50} Gini {unequal:.2f} {bars[1]}".rstrip()


def joined(*parts: Iterator[str]) -> str:
    """Lines of all parts."""
    return "\n".join(line for part in parts for line in part)


def page(ours: Scene, made: Scene, everything: Scene, small: Scene) -> str:
    """The Markdown page."""
    size = len(made.pairs.offer_owner)
    curves = [joined(curve(scene)) for scene in (ours, made, everything)]  # first, while nothing is solved yet
    return f"""# Fair assignment

Written by `python scripts/benchmark_assignment.py --report`, on 2 cores. Who is proposed to whom when no listing may
be in more than so many proposals (`matching/assignment.py`, [decision 0020](decisions/0020-fair-assignment.md)), beside
plain top-k: each need's k best and each offer's k best.

**What is compared.** *Total* is the sum of the proposals' log-odds above those of the threshold, so that every pair
worth proposing counts for something; it grows with the number of proposals. Plain top-k makes up to 2k proposals a
listing on average and any number for a hub, a cap of k at most k; the fair comparison is at an equal number, and has
its own table. *Gini* is over all listings of a side, those without a proposal included: 0, all are in equally many.
*Reached*: the share in at least one. *Most*: the proposals of the most popular listing. *s*: seconds to choose.

**Markets.** *Our benchmark*: both halves, {len(ours.pairs.offer_owner)} offers and {len(ours.pairs.need_owner)} needs,
log-odds by the product's own pipeline, threshold {ours.threshold:g}. *Generated*: {size:,} invented offers and as many
needs, the {CANDIDATES} nearest of each ({len(made.pairs):,} pairs), log-odds fitted to a need's best ({BEST}) and tenth
({TENTH}) offer in our benchmark, the same threshold. *All count*: the same pairs, but every candidate is worth
proposing (the threshold is the lowest probability), as if the market were much richer. The hubs are invented, and
stronger than those that the pipeline has on our evaluation sets (skew of the 10-occurrence 0.4 to 1.8,
[quality](quality.md)).

| market | 1st of a need | 2nd | 5th | 10th | 50th | worth proposing, a need (10 %, median, 90 %, most) | Gini | \
an offer | Gini | skew |
|---|---|---|---|---|---|---|---|---|---|---|
{joined(likeness(scene) for scene in (ours, made, everything))}

## At the default caps

Against plain top-10. First {Caps().offer} proposals a listing: of the caps below the lowest that keeps 95 % of the
total in all three markets. Then the lowest cap that does so with no more proposals than plain top-10 makes.

| market | caps | proposals | total | Gini offers | Gini needs | most offer | most need |
|---|---|---|---|---|---|---|---|
{joined(*(summary(scene) for scene in (ours, made, everything)))}

Where listings have enough partners, the Gini is more than halved at 95 % of the total, with no more proposals too.
At the threshold of {made.threshold:g} it cannot be: what is unequal there is how many partners a listing has that are
worth proposing, and a cap can only take from those with many. Half the Gini leaves about half of the total (cap 3).
What a cap does there is to relieve the hubs, at little cost: see the last two columns.

## Our benchmark

{HEAD}
{curves[0]}

## Generated

{HEAD}
{curves[1]}

```
{joined(chart(made))}
```

## Generated, all count

{HEAD}
{curves[2]}

```
{joined(chart(everything))}
```

## With as many proposals

At most as many proposals as plain top-10, which ones by a threshold that rises until there are no more; the total is
still that above the market's own threshold. *The likeliest*: as many, without caps. First at the threshold of
{made.threshold:g}, then where all count.

{HEAD}
{joined(as_many(made))}

{HEAD}
{joined(as_many(everything))}

## The first proposal of a listing

What a listing's first proposal counts beyond its worth, in log-odds; generated market, threshold {made.threshold:g}.

{HEAD}
{joined(bonuses(made))}

## Caps of organisations

At the default caps of listings; as many organisations as a quarter of the listings, sizes by Zipf's law (the largest
has about a ninth of a side). First at the threshold of {made.threshold:g}, then where all count. One cap for all sizes
takes from the large, whose listings then go without, and the Gini rises: by default there is none.

{HEAD}
{joined(organisations(made))}

{HEAD}
{joined(organisations(everything))}

## Solvers

The same programme without the bonus, {SOLVERS:,} generated offers and needs, all count.

| solver | pairs | total | s |
|---|---|---|---|
{joined(solvers(small))}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("var/models"))
    parser.add_argument("--size", type=int, default=20_000, help="offers, and needs, that are generated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="write docs/assignment.md")
    asked = parser.parse_args()
    models = load_models(asked.cache)
    ours = Scene("our benchmark", our_pairs(models), models.fusion.threshold)
    made = Scene("generated", generated(asked.size, asked.seed), models.fusion.threshold)
    small = scene_of_all("small", generated(SOLVERS, asked.seed))
    text = page(ours, made, scene_of_all("all count", made.pairs), small)
    print(text)
    if asked.report:
        (ROOT / "docs" / "assignment.md").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
