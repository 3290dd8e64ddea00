"""llm serve: a model behind OpenAI's API."""

from __future__ import annotations

import json
from pathlib import Path

import click

from create_llm.cli.app import App
from create_llm.cli.models import bundle_called, device_option, engine_option, load_model, say
from create_llm.cli.terminal import steady


@click.command(
    epilog="\b\nExamples:\n  llm serve\n  llm serve v2 --port 8080 --engine torch\n"
    "  llm serve --host 0.0.0.0 --api-key-file key.txt"
)
@click.argument("model", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port to listen at; 0 takes a free one.",
)
@click.option(
    "--api-key-file",
    type=click.Path(path_type=Path),
    help="A file with the key that requests must bring. Unset: CREATE_LLM_API_KEY, if it is set.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Texts to write at the same time; more wait for their turn.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1, max=86400),
    default=600,
    show_default=True,
    help="Seconds that a request may take.",
)
@device_option
@engine_option
@click.option("--json", "as_json", is_flag=True, help="Print the address as JSON on stdout.")
@click.pass_obj
def command(
    app: App,
    model: str | None,
    host: str,
    port: int,
    api_key_file: Path | None,
    batch_size: int,
    timeout: float,
    device: str,
    engine: str,
    as_json: bool,
) -> None:
    """Answer requests of OpenAI's API with MODEL: a bundle folder, vN or a run id; by default the
    active one.

    Only programs on this machine can reach it, unless --host says otherwise; then each request
    must bring the API key. Ctrl-C or SIGTERM ends it when the requests at hand are answered.
    """
    bundle = bundle_called(app, model)
    from create_llm_serve.access import api_key, bind, check_reach, url_of

    key_file = None if api_key_file is None else app.root / api_key_file
    key = api_key(app.root, key_file)
    with bind(host, port) as listener:
        check_reach(listener, key)
        from create_llm_serve.limits import Limits
        from create_llm_serve.server import server_of
        from create_llm_serve.service import Service

        limits = Limits(batch_size=batch_size, seconds=timeout)
        service = Service(load_model(app, bundle, device, engine), limits, say)
        url = f"{url_of(listener)}/v1"
        if as_json:
            click.echo(json.dumps({"url": url, "model": bundle.name}))
        else:
            click.echo(f"serving {steady(bundle.name)} at {url}; Ctrl-C ends it", err=True)
        server_of(service, listener, key).run(sockets=[listener])
