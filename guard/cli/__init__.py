"""The composition root of the `flames-judge` command: judge's commands and the guard's."""

from __future__ import annotations

import typer

from guard.cli import calibrate_stream, check, events, exposure, keys, replay, selftest, serve
from judge.cli.app import app, run

guard = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Check texts and traffic by a policy; look after logs.",
)
guard.command("check")(check.check)
guard.command("replay")(replay.replay)
guard.command("calibrate-stream")(calibrate_stream.calibrate_stream)
guard.command("selftest")(selftest.selftest)
guard.command("drift")(events.drift)
guard.command("exposure")(exposure.exposure)
guard.command("forget")(events.forget)
app.add_typer(guard, name="guard")
app.command("serve")(serve.serve)
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Entry point of the console script."""
    run(app)
