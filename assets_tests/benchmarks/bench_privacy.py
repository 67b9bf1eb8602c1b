"""How fast private data is looked for, beside Presidio's patterns and scrubadub in the same run.

Run ``python -m assets_tests.benchmarks.bench_privacy``. Events are clean 1 KB JSON lines; prose is English put
together from words; the adversarial texts are 100 KB each of what makes naive patterns slow. Presidio and
scrubadub run on a smaller piece of the same prose, without models or the network, and are skipped with the
reason where they are not installed. Goals are those of the project's bars.
"""

from __future__ import annotations

import importlib.util
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from assets_tests.privacy.corpus import MAKERS, labelled
from assets_tests.privacy.held_out import recall
from pipeline.privacy.detect import Detector, ScanError

SIZE = 100_000
WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "that",
    "is",
    "was",
    "for",
    "it",
    "with",
    "as",
    "his",
    "on",
    "be",
    "at",
    "by",
    "had",
    "not",
    "are",
    "but",
    "from",
    "or",
    "have",
    "an",
    "they",
    "which",
    "one",
    "you",
    "were",
    "all",
    "her",
    "she",
    "there",
    "would",
    "their",
    "we",
    "him",
    "been",
    "has",
    "when",
    "who",
    "will",
    "more",
    "no",
    "if",
    "out",
    "so",
    "said",
    "what",
    "up",
    "its",
    "about",
    "than",
    "into",
    "them",
    "can",
    "only",
    "other",
    "time",
    "new",
    "some",
    "could",
    "these",
    "two",
    "may",
    "then",
    "do",
    "first",
    "any",
    "my",
    "now",
    "such",
    "like",
    "our",
    "over",
    "man",
    "me",
    "even",
    "most",
    "made",
    "after",
    "also",
    "did",
    "many",
    "off",
    "before",
    "must",
    "well",
    "back",
    "through",
    "years",
    "much",
    "where",
    "your",
    "way",
    "down",
    "should",
    "because",
    "long",
    "each",
    "just",
    "state",
    "those",
    "people",
    "too",
    "mr",
    "how",
    "little",
    "good",
    "world",
    "make",
    "very",
    "year",
    "still",
    "see",
    "own",
    "work",
    "men",
    "day",
    "get",
    "here",
    "old",
    "life",
    "both",
    "between",
    "being",
    "under",
    "three",
    "never",
    "know",
    "same",
]


def event(rng: random.Random) -> str:
    """A clean event of about 1 KB with identifiers that look like more than they are."""
    digest = f"{rng.getrandbits(256):064x}"
    fields = {
        "event_id": "-".join(digest[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))),
        "timestamp": 1_763_690_000_000 + rng.randrange(10**9),
        "type": "task_execution",
        "model": "model-4-20250514",
        "version": "1.24.3",
        "commit": digest[:40],
        "metrics": {
            "latency_ms": round(rng.random() * 4000, 1),
            "input_tokens": rng.randrange(9000),
            "score": rng.random(),
        },
        "content": prose(rng, 560),
        "trace": [
            {
                "step": 1,
                "tool": "read_file",
                "args": {"path": "src/client/retry.py", "lines": [10, 80]},
                "ok": True,
            }
        ],
        "digest": digest,
    }
    return json.dumps(fields)


def prose(rng: random.Random, size: int) -> str:
    """English-looking sentences of about ``size`` characters."""
    parts: list[str] = []
    length = 0
    while length < size:
        sentence = " ".join(rng.choice(WORDS) for _ in range(rng.randint(6, 18))).capitalize() + rng.choice(
            [".", ",", "?", "."]
        )
        parts.append(sentence)
        length += len(sentence) + 1
    return " ".join(parts)[:size]


def adversarial() -> dict[str, str]:
    """Texts of 100 KB that naive patterns take seconds for."""
    pieces = [
        "a",
        "@",
        "a@a.",
        "1",
        "4444 ",
        "1.1.",
        "a::",
        "+1 202 555 0147, ",
        "password=",
        "%40",
        "&#64;",
        "eyJ",
        "YWJjZGVm",
        "a [at] b ",
    ]
    pieces += [
        "a://b:",
        "https://a.b/?token=",
        "key ",
        "DE89 ",
        "Server=a;",
        "/home/ab",
        "[",
        "-----BEGIN PRIVATE KEY-----\n",
        "sk-",
        "a_",
    ]
    pieces += ["jane@example.com ", "4111 1111 1111 1111 ", "10.1.2.3 "]
    texts = {piece.strip()[:24]: (piece * (SIZE // len(piece) + 1))[:SIZE] for piece in pieces}
    rng = random.Random(1)
    texts["mixed signs"] = "".join(rng.choice("0123456789 .-@:/=+aAeEyJ%&[]()\"'") for _ in range(SIZE))
    return texts


def seconds(work: Callable[[], object], runs: int = 3) -> float:
    """The median time of a few runs."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def presidio(text: str) -> float | str:
    """MB/s of Presidio's patterns of the same types, or why not."""
    if importlib.util.find_spec("presidio_analyzer") is None:
        return "skipped: presidio-analyzer is not installed"
    import tldextract
    from presidio_analyzer import predefined_recognizers as known

    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    names = (
        "CreditCardRecognizer",
        "EmailRecognizer",
        "IbanRecognizer",
        "IpRecognizer",
        "UsSsnRecognizer",
        "CryptoRecognizer",
        "UrlRecognizer",
        "PhoneRecognizer",
    )
    recognizers = [getattr(known, name)() for name in names]
    work = lambda: [r.analyze(text, r.supported_entities, None) for r in recognizers]  # noqa: E731
    return len(text) / seconds(work, 1) / 1e6


def scrubadub(text: str) -> float | str:
    """MB/s of scrubadub's default detectors, or why not."""
    if importlib.util.find_spec("scrubadub") is None:
        return "skipped: scrubadub is not installed"
    import scrubadub as scrub

    scrubber = scrub.Scrubber()
    return len(text) / seconds(lambda: list(scrubber.iter_filth(text)), 1) / 1e6


def print_recall(detector: Detector, count: int = 600) -> None:
    """Recall on texts of both generators, beside its goal; what it proves is said in the heading."""
    print(
        f"recall, {count} generated texts a type (the rules have since seen these templates: an upper bound)"
    )
    for name in MAKERS:
        found = 0
        for record in labelled(name, count, seed=101):
            label = record["spans"][0]
            found += any(
                f.type == label["type"] and f.start < label["end"] and label["start"] < f.end
                for f in detector.scan_text(record["text"])
            )
        print(f"  {name:32} {found / count:.3f}")
    for seed in (101, 102):
        share, _ = recall(count, seed, detector)
        print(f"  {f'named secrets, held_out, seed {seed}':32} {share:.3f} (goal 0.90)")


def main() -> None:
    """Print every figure with its goal, and the ratios to the named baselines."""
    rng = random.Random(7)
    code = (
        "import time; t = time.perf_counter(); import pipeline.privacy.detect; print(time.perf_counter() - t)"
    )
    imported = statistics.median(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(7)
    )
    print(f"import pipeline.privacy.detect   {imported * 1e3:8.1f} ms    (goal 40)")
    detector = Detector(deadline_seconds=30)
    started = time.perf_counter()
    engine = detector.engine
    print(
        f"building the engine ({engine.name})  {(time.perf_counter() - started) * 1e3:8.1f} ms    (goal 300)"
    )
    lines = [event(rng) for _ in range(400)]
    times = []
    for line in lines * 10:
        started = time.perf_counter()
        detector.scan_json(line)
        times.append(time.perf_counter() - started)
    times.sort()
    clean = sum(not detector.scan_json(line) for line in lines)
    size = statistics.mean(map(len, lines))
    print(
        f"clean JSON event, {size:,.0f} bytes    p50 {statistics.median(times) * 1e6:.1f} us (goal 15), p99 {times[int(len(times) * 0.99)] * 1e6:.1f} us (goal 40), {1 / statistics.mean(times):,.0f} events/s; {clean} of {len(lines)} clean"
    )
    text = prose(rng, 2_000_000)
    ours = len(text) / seconds(lambda: detector.scan_text(text)) / 1e6
    print(f"prose, 2 MB                      {ours:8.1f} MB/s  (goal 50)")
    small = text[:20_000]
    for name, measure in (("Presidio's patterns", presidio), ("scrubadub", scrubadub)):
        theirs = measure(small)
        print(
            f"  {name:30} {theirs}"
            if isinstance(theirs, str)
            else f"  {name:30} {theirs:8.3f} MB/s  (ours is {ours / theirs:,.0f} times as fast)"
        )
    slowest: list[tuple[float, str]] = []
    for name, hostile in adversarial().items():
        try:
            slowest.append((seconds(lambda hostile=hostile: detector.scan_text(hostile)), name))  # type: ignore[misc]
        except ScanError:
            slowest.append((detector.deadline_seconds, name + " (quarantined)"))
    slowest.sort(reverse=True)
    print(
        f"100 KB adversarial, {len(slowest)} texts   median {statistics.median(t for t, _ in slowest) * 1e3:.1f} ms, worst {slowest[0][0] * 1e3:.1f} ms (goal 50):"
    )
    for took, name in slowest[:5]:
        print(f"  {name!r:34} {took * 1e3:8.1f} ms")
    print_recall(detector)


if __name__ == "__main__":
    main()
