"""What schemathesis cannot know of Vedette by itself; `schemathesis.toml` beside this says when."""

import itertools
import os
import pathlib

import requests
import schemathesis
from hypothesis import strategies

SERVER = os.environ["VEDETTE_URL"]

# Photos with a face, besides schemathesis's own pictures, which show nothing.
PHOTOS = [path.read_bytes() for path in sorted(pathlib.Path(os.environ["VEDETTE_PHOTOS"]).glob("*.jpg"))]
schemathesis.openapi.media_type("image/jpeg", strategies.sampled_from(PHOTOS))

NUMBERS = itertools.count(1)


def somewhere():
    """A client's address like no other's."""
    number = next(NUMBERS)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def post(path, body, headers):
    return requests.post(SERVER + path, json=body, headers=headers, timeout=30)


@schemathesis.auth(refresh_interval=None)
class Credentials:
    """Workers' routes want a worker, the others an administrator; what makes tokens void gets a user of its own."""

    administrator = os.environ["VEDETTE_TOKEN"]
    worker = os.environ["VEDETTE_WORKER_TOKEN"]
    username = None
    password = os.environ["VEDETTE_PASSWORD"]

    def get(self, case, context):
        path = context.operation.path
        if path.startswith(("/api/workers/", "/api/ingest", "/api/gallery")):
            return self.worker
        if path in ("/api/auth/logout", "/api/auth/change-password"):
            return self.sign_in_anew()
        return self.administrator

    def set(self, case, token, context):
        case.headers["Authorization"] = f"Bearer {token}"

    def sign_in_anew(self):
        answer = self.sign_in()
        if answer.status_code != 200:
            # The first time, and whenever the account has been changed or removed.
            Credentials.username = f"leaver{next(NUMBERS)}"
            account = {"username": self.username, "password": self.password}
            post("/api/users", account, {"Authorization": f"Bearer {self.administrator}"}).raise_for_status()
            answer = self.sign_in()
        answer.raise_for_status()
        return answer.json()["access_token"]

    def sign_in(self):
        account = {"username": self.username, "password": self.password}
        return post("/api/auth/login", account, {"X-Forwarded-For": somewhere()})


@schemathesis.hook
def before_call(context, case, kwargs):
    # Failures to sign in are counted by address; from one and the same, everything else would be refused, too.
    if case.operation.path == "/api/auth/login":
        case.headers["X-Forwarded-For"] = somewhere()
    # To JSON Schema 7.0 is an integer, to most programs it is none.
    case.body = with_integers(case.body)


def with_integers(value):
    if isinstance(value, dict):
        return {name: with_integers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_integers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.hook
def filter_failure(context, failure, case, response):
    # A batch of no events is one, too.
    is_empty_batch = case.operation.path == "/api/ingest" and response.status_code == 200 and response.request.body is None
    return not is_empty_batch


@schemathesis.hook
def before_load_schema(context, raw_schema):
    say_how_large(raw_schema)


def say_how_large(schema):
    """Says in numbers what schemathesis does not know by their names: the formats of numbers without a sign."""
    if isinstance(schema, dict):
        bits = {"uint32": 32, "uint64": 64}.get(schema.get("format"))
        if bits and schema.get("minimum") == 0:
            schema.setdefault("maximum", 2**bits - 1)
        for item in schema.values():
            say_how_large(item)
    elif isinstance(schema, list):
        for item in schema:
            say_how_large(item)
