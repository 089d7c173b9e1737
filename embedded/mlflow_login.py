"""Restricted MLflow login: MLflow's permissions let every user create experiments and models.

Named in the server's ``auth.ini``; runs inside the MLflow server.
"""

from __future__ import annotations

import re

from flask import Response, make_response, request
from mlflow.server.auth import authenticate_request_basic_auth
from werkzeug.datastructures import Authorization

from contracts.settings import get_settings

_READING_METHODS = {"GET", "HEAD", "OPTIONS"}
# Searches and the GraphQL queries of the pages are POST requests.
_READING_POSTS = re.compile(r"/(search|search-datasets|graphql|traces/metrics)$")


def authenticate() -> Authorization | Response:
    """Return the user of a request, or a refusal; all changes by the reading user are refused."""
    answer: Authorization | Response = authenticate_request_basic_auth()
    reads = request.method in _READING_METHODS or _READING_POSTS.search(request.path)
    if reads or isinstance(answer, Response):
        return answer
    if answer.username == get_settings().mlflow.reader_username:
        return make_response("This user may only read.", 403)
    return answer
