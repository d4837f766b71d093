"""compose.prod.yaml without containers: topology.py VEDETTE WORKER NGINX PROMETHEUS MIME_TYPES, within with-servers.sh.

Two control planes on one PostgreSQL and one Redis behind nginx with docker/nginx.conf, secrets by files as make-secrets.sh
and with-secrets.sh bring them, a worker that comes through nginx, and a Prometheus with docker/prometheus that looks at both.
"""

import base64
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

from backup import event
from servers import DOCKER, Client, ControlPlane, Process, first_sign_in, free_port, postgres, until

VEDETTE, WORKER, NGINX, PROMETHEUS, MIME_TYPES = sys.argv[1:6]
PORTRAIT = DOCKER.parent / "tests/media/astronaut.jpg"


def replaced(text, replacements):
    """`text` with every left side, which must be there, replaced."""
    for old, new in replacements.items():
        assert old in text, f"`{old}` is not there any more"
        text = text.replace(old, str(new))
    return text


def padded(jpeg, size_bytes):
    """The same picture as a file of `size_bytes` or a little more: comments come first."""
    comment = b"\xff\xfe\xff\xff" + bytes(0xFFFD)
    return jpeg[:2] + comment * ((size_bytes - len(jpeg)) // len(comment) + 1) + jpeg[2:]


def as_form(field, content):
    head = f'--limit\r\nContent-Disposition: form-data; name="{field}"; filename="a.jpg"\r\n\r\n'.encode()
    return head + content + b"\r\n--limit--\r\n", {"Content-Type": "multipart/form-data; boundary=limit"}


class Live:
    """A WebSocket as a browser opens it."""

    def __init__(self, port, certificate, token):
        context = ssl.create_default_context(cafile=certificate)
        raw = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket = context.wrap_socket(raw, server_hostname="localhost")
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /api/live HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: https://localhost:{port}\r\n"
            f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            f"Sec-WebSocket-Protocol: bearer, {token}\r\n\r\n".encode())
        self.stream = self.socket.makefile("rb")
        head = b"".join(iter(self.stream.readline, b"\r\n")).decode()
        assert head.startswith("HTTP/1.1 101"), head

    def next(self, kind):
        while True:
            first, length = self.stream.read(2)
            if length >= 126:
                length = int.from_bytes(self.stream.read(2 if length == 126 else 8), "big")
            payload = self.stream.read(length)
            if first & 15 == 1:
                message = json.loads(payload)
                if message["type"] == kind:
                    return message["data"]


class Topology:
    def __init__(self, folder):
        self.folder = folder
        secrets = folder / "secrets"
        environment = {**os.environ, "TLS_NAME": "localhost"}
        subprocess.run(["sh", str(DOCKER / "make-secrets.sh"), str(secrets)], check=True, env=environment,
                       stdout=subprocess.DEVNULL)
        self.certificate = secrets / "tls.crt"
        self.secret = {path.name: path.read_text() for path in secrets.iterdir()}
        self.secrets = secrets

        # The wrapper of the images, before the binaries tested here.
        programs = folder / "bin"
        programs.mkdir()
        wrapper = replaced((DOCKER / "with-secrets.sh").read_text(), {"/usr/bin/": f"{programs}/real-"})
        for name, program in (("vedette", VEDETTE), ("vedette-worker", WORKER)):
            (programs / name).write_text(wrapper)
            (programs / name).chmod(0o755)
            (programs / f"real-{name}").symlink_to(program)
        self.programs = programs

        database = postgres()
        (folder / "db_password").write_text(database.pop("DB_PASSWORD"))
        self.environment = {
            **database, "DB_PASSWORD_FILE": str(folder / "db_password"),
            "REDIS_HOST": os.environ["TEST_REDIS_HOST"], "REDIS_PORT": os.environ["TEST_REDIS_PORT"],
            **{f"{variable}_FILE": str(secrets / name) for variable, name in (
                ("JWT_SECRET", "jwt_secret"), ("VEDETTE_KEY", "vedette_key"), ("ADMIN_PASSWORD", "admin_password"),
                ("METRICS_TOKEN", "metrics_token"), ("VEDETTE_WORKER_TOKEN", "worker_token"))},
        }
        self.instances = [self.control_plane(1).wait(), self.control_plane(2).wait()]
        self.start_nginx()

    def control_plane(self, number, port=None):
        program, folder = str(self.programs / "vedette"), self.folder / f"controlplane-{number}"
        return ControlPlane(program, folder, self.folder / "data", self.environment, port)

    def start_nginx(self):
        self.https, self.http, self.inner, health = (free_port() for _ in range(4))
        work = self.folder / "nginx"
        work.mkdir()
        settings = replaced((DOCKER / "nginx.conf").read_text(), {
            "10.213.77.11:8000": f"127.0.0.1:{self.instances[0].port}",
            "10.213.77.12:8000": f"127.0.0.1:{self.instances[1].port}",
            "listen 8080": f"listen 127.0.0.1:{self.http}", "listen 8443": f"listen 127.0.0.1:{self.https}",
            "listen 8081": f"listen 127.0.0.1:{self.inner}", "127.0.0.1:8082": f"127.0.0.1:{health}",
            "/tmp/": f"{work}/", "/etc/nginx/mime.types": MIME_TYPES,
            "/run/secrets/tls_certificate": self.certificate, "/run/secrets/tls_key": self.secrets / "tls.key",
            "/dev/stdout": f"{work}/access.log",
        })
        (work / "nginx.conf").write_text(settings)
        command = [NGINX, "-p", str(work), "-c", str(work / "nginx.conf"), "-e", "stderr", "-g", "daemon off;"]
        checked = subprocess.run([*command[:-2], "-t"], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        self.nginx = Process(command, work / "log")
        until("nginx", lambda: Client(f"http://127.0.0.1:{health}").call("/")[0] == 204)
        self.url = f"https://localhost:{self.https}"

    def client(self, token=None):
        return Client(self.url, self.certificate, token)

    def stop(self):
        for process in (self.nginx, *self.instances):
            process.stop()

    def doors(self):
        """What each of nginx's doors lets through."""
        admin = first_sign_in(self.client(), self.secret["admin_password"])
        wrong = b"username=nobody&password=wrong"
        assert self.client().call("/api/auth/login", body=wrong)[0] == 401
        status, headers, _ = self.client().call("/")
        assert status == 200 and headers["Strict-Transport-Security"], "the dashboard"
        assert self.client().call("/metrics")[0] == 404
        status, headers, _ = Client(f"http://127.0.0.1:{self.http}").call("/api/health?a=b")
        assert status == 308 and headers["Location"] == "https://127.0.0.1/api/health?a=b", headers["Location"]
        inner = Client(f"http://127.0.0.1:{self.inner}")
        assert [inner.call(path)[0] for path in ("/api/gallery", "/api/auth/login", "/api/persons", "/")] == [401, 404, 404, 404]
        curl = ["curl", "--silent", "--http2", "--cacert", str(self.certificate), "--output", "/dev/null",
                "--write-out", "%{http_version} %{http_code}", f"{self.url}/api/health"]
        assert subprocess.run(curl, capture_output=True, text=True).stdout == "2 200"
        curl[curl.index("--http2")] = "--tls-max"
        curl.insert(curl.index("--tls-max") + 1, "1.1")
        assert subprocess.run(curl, capture_output=True, text=True).stdout == "0 000", "TLS 1.1"
        return admin

    def uploads(self, admin):
        """Large pictures come through, and what is too large is refused by the server in its own words."""
        picture = padded(PORTRAIT.read_bytes(), 15 * 1024 * 1024)
        body, headers = as_form("image", picture)
        started = time.monotonic()
        found = admin.ask("/api/detect", body=body, headers=headers)
        assert len(found["faces"]) == 1, found
        print(f"  {len(picture):,} bytes of picture: 1 face, {time.monotonic() - started:.2f} s", flush=True)
        body, headers = as_form("image", padded(PORTRAIT.read_bytes(), 21 * 1024 * 1024))
        status, _, answer = admin.call("/api/detect", body=body, headers=headers)
        assert status == 413 and b"20 MiB" in answer, (status, answer)
        with socket.create_connection(("127.0.0.1", self.https)) as raw:
            context = ssl.create_default_context(cafile=self.certificate)
            with context.wrap_socket(raw, server_hostname="localhost") as connection:
                connection.sendall(b"POST /api/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 600000000\r\n\r\n")
                answer = connection.recv(4096)
                assert b" 413 " in answer and b"FileProcessingException" in answer, answer

    def watches(self, admin):
        """Two who watch hear of an event, whichever instance took it in."""
        ways = [Live(self.https, self.certificate, admin.token) for _ in range(4)]
        served = [Client(instance.url, token=self.secret["metrics_token"]).call("/metrics")[2].decode()
                  for instance in self.instances]
        clients = [int(re.search(r"^vedette_live_clients (\d+)", text, re.M)[1]) for text in served]
        assert sum(clients) == 4 and min(clients) > 0, f"not shared out: {clients}"
        worker = Client(f"http://127.0.0.1:{self.inner}", token=self.secret["worker_token"])
        sent = []
        for _ in range(4):
            sent.append(event())
            worker.ask("/api/ingest", body=sent[-1:])
        for way in ways:
            assert [way.next("event")["event_id"] for _ in sent] == [one["event_id"] for one in sent]
        print(f"  live: watchers at the instances {clients}, each heard of {len(sent)} events", flush=True)

    def works(self, admin):
        """A worker comes through nginx and runs a camera; both instances know how it does."""
        admin.ask("/api/cameras", body={"id": "try", "name": "Try", "url": "test://"})
        admin.ask("/api/cameras/try/start", method="POST", body={})
        for instance in self.instances:
            direct = Client(instance.url, token=admin.token)
            until("the camera runs", lambda: direct.ask("/api/cameras/try")["status"] == "running")

    def is_watched(self):
        """Prometheus takes in both instances; each figure of the dashboard and each rule is there."""
        work = self.folder / "prometheus"
        work.mkdir()
        port = free_port()
        settings = replaced((DOCKER / "prometheus/prometheus.yml").read_text(), {
            "controlplane-1:8000": f"127.0.0.1:{self.instances[0].port}",
            "controlplane-2:8000": f"127.0.0.1:{self.instances[1].port}", "127.0.0.1:9090": f"127.0.0.1:{port}",
            "/run/secrets/metrics_token": self.secrets / "metrics_token",
            "scrape_interval: 15s": "scrape_interval: 1s", "evaluation_interval: 15s": "evaluation_interval: 1s",
            "scrape_timeout: 10s": "scrape_timeout: 1s", "alerts.yml": DOCKER / "prometheus/alerts.yml",
        })
        (work / "prometheus.yml").write_text(settings)
        command = [PROMETHEUS, f"--config.file={work}/prometheus.yml", f"--storage.tsdb.path={work}/data",
                   f"--web.listen-address=127.0.0.1:{port}"]
        with Process(command, work / "log"):
            prometheus = Client(f"http://127.0.0.1:{port}")

            def result(expression):
                status, _, body = prometheus.call("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
                assert status in (0, 200, 503), f"{expression}: {body}"
                return json.loads(body)["data"]["result"] if status == 200 else []

            until("both are up", lambda: len(result('up{job="vedette"} == 1')) == 2)
            until("a rate can be told", lambda: result("rate(vedette_http_requests_total[1m])"))
            dashboard = json.loads((DOCKER / "grafana/dashboards/vedette.json").read_text())
            queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
            rules = json.loads(prometheus.call("/api/v1/rules")[2])["data"]["groups"]
            rules = [rule for group in rules for rule in group["rules"]]
            assert rules and all(rule["health"] != "err" for rule in rules), rules
            known = {series["__name__"] for series in json.loads(
                prometheus.call("/api/v1/series?" + urllib.parse.urlencode({"match[]": '{job="vedette"}'}))[2])["data"]}
            alerts = (DOCKER / "prometheus/alerts.yml").read_text()
            used = set(re.findall(r"\bvedette_[a-z_]+", " ".join(queries) + alerts))
            assert used <= known, f"there is no {used - known}"
            for query in queries:
                if not query.startswith("ALERTS"):
                    until(query, lambda: result(query.replace("$__rate_interval", "1m")), timeout_s=20)
            firing = result('ALERTS{alertstate="firing"}')
            assert not firing, firing
        print(f"  Prometheus: {len(used)} figures used, of {len(known)}; {len(queries)} queries and {len(rules)} rules", flush=True)

    def sees_clients(self, admin):
        """The client's address is counted, not nginx's, and not what the client says it is."""
        def sign_in_from(address, claims):
            # Another name each time: failures with one name are slowed down, wherever they come from.
            name = claims.replace(".", "")
            command = ["curl", "--silent", "--cacert", str(self.certificate), "--interface", address, "--output", "/dev/null",
                       "--write-out", "%{http_code}", "--header", f"X-Forwarded-For: {claims}",
                       "--data", f"username=nobody{name}&password=wrong", f"{self.url}/api/auth/login"]
            return subprocess.run(command, capture_output=True, text=True).stdout

        codes = [sign_in_from("127.0.0.5", f"203.0.113.{number}") for number in range(40)]
        assert "429" in codes, f"what a client claims must not count: {codes}"
        assert sign_in_from("127.0.0.6", "198.51.100.1") == "401", "another client must not be held up"
        assert admin.call("/api/persons")[0] == 200
        print(f"  sign-ins from one address, whatever it claims: {codes.index('429')} until 429; another one: 401", flush=True)

    def survives(self, admin):
        """One instance is killed while requests run: whoever only reads does not notice."""
        outcomes, lock, killed, done = {}, threading.Lock(), threading.Event(), threading.Event()

        def ask():
            mine = Client(self.url, self.certificate, admin.token)
            while not done.is_set():
                status, _, body = mine.call("/api/detections?page_size=5")
                with lock:
                    key = ("after" if killed.is_set() else "before", status)
                    outcomes[key] = outcomes.get(key, 0) + 1
                # So that the server's own limit is not reached, and the moment of the kill lies within a request.
                done.wait(0.05)

        def count(when):
            return sum(number for (which, _), number in outcomes.items() if which == when)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        until("requests", lambda: count("before") >= 100)
        self.instances[0].stop(signal.SIGKILL)
        killed.set()
        until("more requests", lambda: count("after") >= 200)
        # Back again, in its old place.
        again = self.control_plane(1, self.instances[0].port).wait()
        self.instances[0] = again
        client = Client(again.url, token=self.secret["metrics_token"])
        def is_asked():
            text = client.call("/metrics")[2].decode()
            return re.search(r'^vedette_http_requests_total\{route="detections",method="GET",status="200"\} [1-9]', text, re.M)
        until("nginx asks it again", is_asked)
        done.set()
        for thread in threads:
            thread.join()
        assert {status for _, status in outcomes} == {200}, outcomes
        print(f"  killed one of two: {count('before')} requests before, {count('after')} after, all answered 200", flush=True)

    def is_away(self):
        """Without any control plane, nginx says so as the server would."""
        for instance in self.instances:
            instance.stop()
        status, headers, body = self.client().call("/api/health")
        assert status == 503 and headers["Retry-After"], (status, body)
        assert set(json.loads(body)) == {"error", "message", "path", "details"}


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        topology = Topology(folder)
        try:
            admin = topology.doors()
            variables = {"PATH": os.environ["PATH"], "HOME": name, "VEDETTE_DATA_DIR": str(folder / "spool"),
                         "VEDETTE_WORKER_TOKEN_FILE": str(topology.secrets / "worker_token")}
            if "VEDETTE_MODELS_DIR" in os.environ:
                variables["VEDETTE_MODELS_DIR"] = os.environ["VEDETTE_MODELS_DIR"]
            command = [str(topology.programs / "vedette-worker"), "--url", f"http://127.0.0.1:{topology.inner}", "--id", "worker-1"]
            with Process(command, folder / "worker.log", env=variables):
                topology.works(admin)
                topology.uploads(admin)
                topology.watches(admin)
                topology.is_watched()
                admin.ask("/api/cameras/try/stop", method="POST", body={})
                topology.survives(admin)
            topology.sees_clients(admin)
            topology.is_away()
        except BaseException:
            for log in sorted(folder.rglob("log")) + sorted(folder.glob("*.log")):
                print(f"--- {log}\n{log.read_text()[-1500:]}", file=sys.stderr)
            raise
        finally:
            topology.stop()
    print("two control planes behind nginx: ok", flush=True)


if __name__ == "__main__":
    main()
