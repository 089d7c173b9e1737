"""Command line of the platform: ``python -m embedded up|down|status|…``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from contracts.settings import SettingsError, load_settings
from embedded import console, platform, secrets
from embedded.preflight import PreflightError
from serving.access.signing_keys import SigningKeyError


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(prog="embedded", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the platform, or the parts named by --only")
    up.add_argument("--only", type=_names, default=[], help="comma-separated services")
    commands.add_parser("down", help="stop all services of the platform")
    status = commands.add_parser("status", help="state, port, address and memory of each service")
    status.add_argument("--json", action="store_true", dest="as_json")
    logs = commands.add_parser("logs", help="the last lines of each log, or follow with -f")
    logs.add_argument("-f", "--follow", action="store_true")
    logs.add_argument("service", nargs="?")
    env = commands.add_parser("env", help="shell exports of the read-only roles, or for dbt")
    env.add_argument("--role", choices=("reader", "developer"), default="reader")
    commands.add_parser("login", help="addresses and passwords of the web pages")
    commands.add_parser("rotate-signing-key", help="sign the API's tokens with a new key")
    clean = commands.add_parser("clean", help="remove the state folder")
    clean.add_argument("--yes", action="store_true")
    commands.add_parser("supervise", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    try:
        settings = load_settings()
        match options.command:
            case "up":
                platform.up(settings, options.only, console.progress)
                console.print_status(settings)
            case "down":
                console.say("stopped" if platform.down(settings) else "nothing was running")
            case "status":
                return console.print_status(settings, as_json=options.as_json)
            case "logs":
                console.logs(settings, options.service, options.follow)
            case "env":
                console.print_exports(settings, options.role)
            case "login":
                console.print_login(settings)
            case "rotate-signing-key":
                secrets.rotate_signing_key(settings.signing_keys_file)
                console.say(
                    "New tokens have the new key. Earlier ones are valid until they expire."
                )
            case "clean":
                return console.clean(settings, options.yes)
            case "supervise":
                platform.supervise(settings)
    except (PreflightError, SettingsError, SigningKeyError, platform.PlatformError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
