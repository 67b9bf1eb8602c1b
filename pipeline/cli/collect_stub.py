"""``pipeline collect stub``: the invented server, for trying the collector without a key."""

from __future__ import annotations

from pathlib import Path

import click

_RATE = click.FloatRange(0, 1)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port", default=8399, show_default=True, type=click.IntRange(0, 65535), help="0: any free one."
)
@click.option("--seed", default=0, show_default=True, help="Other answers and faults.")
@click.option("--accuracy", default=0.8, show_default=True, type=_RATE, help="Share of right answers.")
@click.option("--latency-ms", default=20.0, show_default=True, type=click.FloatRange(0, 600_000))
@click.option("--rate-429", default=0.0, type=_RATE, help="Share of attempts refused with Retry-After.")
@click.option(
    "--retry-after", default=1.0, show_default=True, type=click.FloatRange(0, 3600), help="Seconds."
)
@click.option("--rate-hang", default=0.0, type=_RATE, help="Share of attempts that are never answered.")
@click.option("--rate-400", default=0.0, type=_RATE, help="Share of prompts refused for good.")
@click.option("--rate-500", default=0.0, type=_RATE, help="Share of attempts that fail.")
@click.option("--rate-malformed", default=0.0, type=_RATE, help="Share of answers that are half a JSON.")
@click.option("--rate-truncated", default=0.0, type=_RATE, help="Share of answers whose connection breaks.")
@click.option(
    "--version-after", type=click.IntRange(0), help="Requests after which the served model changes."
)
@click.option("--requests-per-minute", type=click.IntRange(1), help="A limit, told in x-ratelimit headers.")
@click.option(
    "--answers", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="JSONL: prompt, answer."
)
@click.option(
    "--dataset", "datasets", multiple=True,
    help="Know this declared dataset, or those a YAML file declares; may be given again. "
    "Default: all whose files are there.",
)  # fmt: skip
@click.option(
    "--log", type=click.Path(path_type=Path, dir_okay=False), help="Appends one JSON line a request."
)
def stub(answers: Path | None, datasets: tuple[str, ...], **given: object) -> None:
    """Serve an OpenAI-compatible API that invents its answers; it knows those of the declared datasets.

    What a dataset expects (GSM8K, MMLU, your own) is read from its files; they must be there where --dataset
    names it.

    \b
    Examples:
      pipeline collect stub
      pipeline collect stub --dataset gsm8k --dataset mmlu
      pipeline collect stub --port 8400 --accuracy 0.6 --rate-429 0.05 --rate-400 0.01 --log requests.jsonl
    """
    from pipeline.collector.stub.knowledge import answers_of_file, chosen_answers
    from pipeline.collector.stub.server import StubOptions, serve

    known = chosen_answers(datasets)
    if answers is not None:
        known |= answers_of_file(answers)
    options = StubOptions(answers=known, **given)  # type: ignore[arg-type]
    serve(options, said=lambda url: click.echo(f"The stub answers at {url} (Ctrl-C ends it).", err=True))
