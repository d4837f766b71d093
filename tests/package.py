#!/usr/bin/env python3
"""Installs, uses, upgrades, removes and purges a Debian package of Vedette: package.py VEDETTE.deb

On a copy of this machine that is thrown away: an overlay over its files, with processes, network and a systemd of its own. So
the units' hardening is tried for real, and nothing stays. Needs root.
"""

import base64
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

MEDIA = Path(__file__).parent / "media"
SERVICES = ["vedette", "vedette-worker"]
PASSWORD = "correct horse battery staple 9"
API = "http://127.0.0.1:8000"
START_TIMEOUT_S = 60
# No service of this machine but what systemd itself needs, and D-Bus, through which units are managed.
TARGET = "[Unit]\nRequires=basic.target dbus.service\nAfter=basic.target dbus.service\nAllowIsolate=yes\n"


def main():
    if os.geteuid() != 0:
        print("skipped: only root can make a copy of this machine")
        return
    package = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(prefix="vedette-package-") as folder:
        machine = Machine(Path(folder))
        try:
            machine.boot()
            try_package(machine, package, Path(folder))
        except Exception:
            print(machine.run("journalctl", "--no-pager", "-n", "60", check=False))
            raise
        finally:
            machine.stop()


class Machine:
    """The copy. Its first process is systemd; commands enter its namespaces."""

    def __init__(self, folder):
        self.root, self.folder, self.init, self.starter = folder / "root", folder, None, None

    def boot(self):
        # In namespaces of its own from here on: what is mounted goes with the last process.
        script = f"""
            set -e
            mount -t tmpfs tmpfs {self.folder}
            mkdir {self.root} {self.folder}/upper {self.folder}/work
            mount -t overlay overlay -o lowerdir=/,upperdir={self.folder}/upper,workdir={self.folder}/work {self.root}
            mount -t proc proc {self.root}/proc
            mount --rbind /sys {self.root}/sys
            mount --rbind /dev {self.root}/dev
            mount -t tmpfs tmpfs {self.root}/run
            mount -t tmpfs tmpfs {self.root}/tmp
            # Container images have one that keeps packages from starting services.
            rm -f {self.root}/usr/sbin/policy-rc.d
            printf '{TARGET}' > {self.root}/etc/systemd/system/trial.target
            ip link set lo up
            exec chroot {self.root} /lib/systemd/systemd --system --unit=trial.target --show-status=no
        """
        unshare = ["unshare", "--fork", "--kill-child", "--pid", "--mount", "--net", "--uts", "--ipc", "--cgroup"]
        environment = {"PATH": os.environ["PATH"], "container": "vedette-test"}
        self.starter = subprocess.Popen(unshare + ["sh", "-c", script.replace("\n\n", "\n")], env=environment)
        children = Path(f"/proc/{self.starter.pid}/task/{self.starter.pid}/children")
        self.init = wait_for("a first process", lambda: children.read_text().split()[0])
        wait_for("systemd", lambda: "running" in self.run("systemctl", "is-system-running", check=False) or
                 "degraded" in self.run("systemctl", "is-system-running", check=False))

    def run(self, *command, check=True, stdin=None):
        enter = ["nsenter", "--target", self.init, "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup",
                 f"--root=/proc/{self.init}/root", f"--wd=/proc/{self.init}/root"]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(enter + list(command), env=environment, input=stdin, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def put(self, file):
        """Copies a file in, and says where it is there."""
        target = f"/tmp/{file.name}"
        self.run("sh", "-c", f"base64 -d > {target}", stdin=base64.b64encode(file.read_bytes()).decode())
        return target

    def stop(self):
        if self.starter is not None:
            self.starter.send_signal(signal.SIGKILL)
            self.starter.wait()


def wait_for(what, question, timeout_s=START_TIMEOUT_S):
    deadline = time.monotonic() + timeout_s
    error = None
    while time.monotonic() < deadline:
        try:
            answer = question()
            if answer:
                return answer
        except (OSError, IndexError, ValueError, RuntimeError) as trouble:
            error = trouble
        time.sleep(0.1)
    raise RuntimeError(f"{what}: not within {timeout_s} s ({error})")


class Api:
    """Vedette's API on the copy, asked with curl from inside its network."""

    def __init__(self, machine):
        self.machine, self.token = machine, None

    def ask(self, method, path, body=None, form=None):
        command = ["curl", "--silent", "--show-error", "--max-time", "20", "-w", "\n%{http_code}", "-X", method, API + path]
        if self.token:
            command += ["-H", f"Authorization: Bearer {self.token}"]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "--data", json.dumps(body)]
        for field in form or []:
            command += ["--form", field]
        text, status = self.machine.run(*command).rsplit("\n", 1)
        return int(status), json.loads(text) if text else None

    def expect(self, status, method, path, **what):
        found, answer = self.ask(method, path, **what)
        assert found == status, f"{method} {path}: {found} {answer}"
        return answer

    def sign_in(self, password):
        answer = self.expect(200, "POST", "/api/auth/login", body={"username": "admin", "password": password})
        self.token = answer["access_token"]


def try_package(machine, package, folder):
    api = Api(machine)
    machine.run("dpkg", "--install", machine.put(package))
    health = healthy(api)
    version = machine.run("vedette", "--version").strip()
    assert health["version"] in version and health["commit"] in version, version
    say("installed", version)

    for service in SERVICES:
        assert machine.run("systemctl", "is-enabled", service).strip() == "enabled"
        assert user_of(machine, service) == "vedette", service
        exposure = machine.run("systemd-analyze", "security", "--no-pager", service).splitlines()[-1]
        say("hardened", exposure.split(": ", 1)[-1].strip(" →"))
    for file in ["vedette.env", "worker.env"]:
        assert machine.run("stat", "--format", "%a %U %G", f"/etc/vedette/{file}").strip() == "640 root vedette"
    secrets = machine.run("cat", "/etc/vedette/vedette.env", "/etc/vedette/worker.env")
    first = re.findall(r"the password is `(\S+)`", machine.run("journalctl", "--no-pager", "-u", "vedette"))
    assert first, "the log tells no first password"
    api.sign_in(first[-1])
    api.expect(200, "POST", "/api/auth/change-password", body={"old_password": first[-1], "new_password": PASSWORD})
    api.sign_in(PASSWORD)
    use(machine, api)

    # An upgrade keeps what was recorded, and what was set.
    machine.run("sh", "-c", "echo '# of this house' >> /etc/vedette/config.prod.yaml")
    before = {service: main_pid(machine, service) for service in SERVICES}
    machine.run("dpkg", "--install", machine.put(newer(package, folder)))
    healthy(api)
    assert all(main_pid(machine, service) != before[service] for service in SERVICES), "not started anew"
    assert "of this house" in machine.run("cat", "/etc/vedette/config.prod.yaml")
    assert machine.run("cat", "/etc/vedette/vedette.env", "/etc/vedette/worker.env") == secrets
    api.sign_in(PASSWORD)
    running(api)
    say("upgraded", "data, settings and secrets are there, the camera runs again")

    machine.run("dpkg", "--remove", "vedette")
    running_still = machine.run("ps", "-o", "args=", "-u", "vedette", check=False)
    assert running_still == "", running_still
    assert "No such file" in machine.run("ls", "/usr/bin/vedette", check=False)
    assert "vedette.db" in machine.run("ls", "/var/lib/vedette")
    say("removed", "the services have ended, the data is kept")
    machine.run("dpkg", "--install", machine.put(package))
    healthy(api)
    api.sign_in(PASSWORD)
    machine.run("dpkg", "--purge", "vedette")
    left = machine.run("sh", "-c", "ls -d /etc/vedette /var/lib/vedette /var/cache/vedette /etc/systemd/system/*/vedette* 2>/dev/null",
                       check=False)
    assert left == "", f"left behind: {left}"
    assert machine.run("getent", "passwd", "vedette", check=False) == ""
    say("purged", "nothing is left")


def healthy(api):
    """Waits until the server is healthy and its worker reports."""
    def look():
        _, health = api.ask("GET", "/api/health")
        ready = health["status"] == "healthy" and health["face_detector"] == "initialized"
        return health if ready and health["workers"]["connected"] == 1 else None
    return wait_for("health", look)


def use(machine, api):
    """A face is found in a photo, and a camera runs: models, ONNX Runtime and GStreamer work within the units' bounds."""
    photo = machine.put(MEDIA / "obama.jpg")
    found = api.expect(200, "POST", "/api/detect", form=[f"image=@{photo}"])
    assert len(found["faces"]) == 1, found
    camera = {"id": "trial", "name": "Trial", "url": "test://", "enabled": True}
    api.expect(201, "POST", "/api/cameras", body=camera)
    api.expect(200, "POST", "/api/cameras/trial/start")
    running(api)
    say("used", "a face is found in a photo, a camera runs")


def running(api):
    wait_for("a running camera", lambda: api.expect(200, "GET", "/api/cameras/trial")["status"] == "running")


def main_pid(machine, service):
    return machine.run("systemctl", "show", "--property", "MainPID", "--value", service).strip()


def user_of(machine, service):
    return machine.run("ps", "-o", "user=", "-p", main_pid(machine, service)).strip()


def newer(package, folder):
    """The same package, but one version later."""
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", r"\g<0>.1", control.read_text()))
    later = folder / "vedette-later.deb"
    subprocess.run(["dpkg-deb", "-Znone", "--build", tree, later], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return later


def say(what, text):
    print(f"{what:<10} {text}", flush=True)


if __name__ == "__main__":
    main()
