"""The decision API: ``python -m serving --port 15415``. It listens on the loopback address only."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import uvicorn

from contracts.fraud_rules import FraudRulesError
from contracts.settings import HOST, SettingsError, load_settings
from serving import request_log
from serving.access.access_tokens import AccessTokens
from serving.access.signing_keys import SigningKeyError, SigningKeys
from serving.access.users import Users
from serving.app import create_app
from serving.database import Database
from serving.service import DecisionService
from serving.tokens import KeyFileError


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal; return the exit code."""
    parser = argparse.ArgumentParser(prog="serving", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args(argv)
    request_log.configure()
    try:
        settings = load_settings()
        service = DecisionService(settings)
        users, reader = Users(service.database), Database(settings, "reader")
        tokens = AccessTokens(SigningKeys(settings.signing_keys_file))
        app = create_app(service, users, tokens, reader, settings.api)
    except (SettingsError, KeyFileError, SigningKeyError, FraudRulesError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    uvicorn.run(
        app,
        host=HOST,
        port=options.port,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # a caller could choose the address that limits count
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
