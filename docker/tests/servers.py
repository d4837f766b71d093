"""Real servers for the tests of this folder: control planes, nginx, Prometheus, on free ports of this host.

Nothing here is a container: what is tested are the files the containers are given, with paths and addresses replaced.
"""

import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

DOCKER = pathlib.Path(__file__).resolve().parent.parent
PASSWORD = "correct horse battery 9"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, condition, timeout_s=60):
    """The first answer of `condition` that counts as true."""
    ends = time.monotonic() + timeout_s
    while time.monotonic() < ends:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come true within {timeout_s} s")


class Process:
    """A program that runs in the foreground, with its output in a file."""

    def __init__(self, command, log, **options):
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as output:
            self.child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)

    def stop(self, how=signal.SIGTERM):
        if self.child.poll() is None:
            self.child.send_signal(how)
            self.child.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Client:
    """Calls one server, signed in or not, from an address of this host that may be chosen."""

    def __init__(self, url, certificate=None, token=None):
        self.url = url
        self.token = token
        context = ssl.create_default_context(cafile=certificate) if certificate else None
        self.opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), KeepStatus())

    def call(self, path, method=None, body=None, headers=None, timeout_s=60):
        """Status, headers and body of the answer, errors too; status 0 when there was none."""
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)
        try:
            with self.opener.open(request, timeout=timeout_s) as answer:
                return answer.status, answer.headers, answer.read()
        except (OSError, urllib.error.URLError) as error:
            return 0, {}, str(error).encode()

    def ask(self, path, **options):
        """The JSON of an answer that has to be good."""
        status, _, body = self.call(path, **options)
        assert 200 <= status < 300, f"{path}: {status} {body[:300]}"
        return json.loads(body) if body else None

    def sign_in(self, password=PASSWORD):
        form = urllib.parse.urlencode({"username": "admin", "password": password}).encode()
        answer = self.ask("/api/auth/login", body=form)
        self.token = answer["access_token"]
        return self


class KeepStatus(urllib.request.HTTPErrorProcessor):
    """Errors and redirections are answers like any other."""

    def http_response(self, request, response):
        return response

    https_response = http_response


def first_sign_in(client, password):
    """Signs in for the first time and sets the password every test uses."""
    client.sign_in(password)
    client.ask("/api/auth/change-password", body={"old_password": password, "new_password": PASSWORD})
    return client.sign_in()


class ControlPlane(Process):
    """`vedette serve` with the settings of `docker/config/behind-nginx.yaml`; the proxy is this host."""

    def __init__(self, binary, folder, data, environment, port=None):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        repository = DOCKER.parent
        (folder / "config.yaml").write_bytes((repository / "controlplane/config/config.yaml").read_bytes())
        settings = (DOCKER / "config/behind-nginx.yaml").read_text()
        assert "10.213.77.2 " in settings
        (folder / "config.prod.yaml").write_text(settings.replace("10.213.77.2 ", "127.0.0.1 "))
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        passed = {name: os.environ[name] for name in ("PATH", "HOME", "VEDETTE_MODELS_DIR") if name in os.environ}
        command = [binary, "serve", "--config", str(folder), "--host", "127.0.0.1", "--port", str(self.port)]
        variables = {**passed, "CONFIG_ENV": "production", "VEDETTE_DATA_DIR": str(data), **environment}
        super().__init__(command, folder / "log", env=variables, cwd=folder)

    def wait(self):
        def is_healthy():
            assert self.child.poll() is None, self.log.read_text()[-2000:]
            return Client(self.url).call("/api/health")[0] == 200

        until("health", is_healthy)
        return self


def postgres():
    """The variables for a database of its own on the PostgreSQL of with-servers.sh."""
    name = f"docker_{os.getpid()}_{time.monotonic_ns()}"
    variables = {
        "DB_HOST": os.environ["TEST_DB_HOST"],
        "DB_PORT": os.environ["TEST_DB_PORT"],
        "DB_USER": os.environ["TEST_DB_USER"],
        "DB_PASSWORD": os.environ["TEST_DB_PASSWORD"],
        "DB_NAME": name,
    }
    query(variables, f'CREATE DATABASE "{name}"', database="postgres")
    return variables


def query(variables, statement, database=None):
    command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement]
    environment = {
        "PATH": os.environ["PATH"],
        "PGHOST": variables["DB_HOST"],
        "PGPORT": variables["DB_PORT"],
        "PGUSER": variables["DB_USER"],
        "PGPASSWORD": variables["DB_PASSWORD"],
        "PGDATABASE": database or variables["DB_NAME"],
    }
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
