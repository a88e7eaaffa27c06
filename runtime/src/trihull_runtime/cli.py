"""The `trihull` command: members register their subcommands through the entry-point group `trihull.commands`.

Errors end here: one message on standard error, the exit code from the error, a traceback only with `--debug`.
"""

import importlib.metadata
import os
import sys
import traceback

from trihull_runtime.errors import TrihullError

try:
    import click
except ModuleNotFoundError as error:  # the base install has no dependency
    raise SystemExit(f"trihull: {error.name} is missing; install trihull-runtime[cli]") from error

GROUP = "trihull.commands"


class Commands(click.Group):
    """A command group whose subcommands are registered when first asked for, each member on its own."""

    _loaded = False

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
            entry.load()(self)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all subcommands by name."""
        self._load()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one subcommand."""
        self._load()
        return super().get_command(ctx, cmd_name)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="trihull-runtime", prog_name="trihull")
@click.option("--debug", is_flag=True, envvar="TRIHULL_DEBUG", help="Show a traceback when something fails.")
def trihull(debug: bool) -> None:
    """Deploy one model to AWS, Google Cloud and Azure, and route every request to a healthy one."""
    if debug:
        os.environ["TRIHULL_DEBUG"] = "1"


def main() -> None:
    """Run the command line and exit with the error's own code."""
    try:
        code = trihull(standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.Abort:
        click.echo("trihull: interrupted", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = 64  # EX_USAGE: click found the command line wanting
    except TrihullError as error:
        if os.environ.get("TRIHULL_DEBUG"):
            traceback.print_exc()
        click.echo(f"trihull: {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        code = 141
    sys.exit(code if isinstance(code, int) else 0)
