"""backup.sh and restore.sh against a real server, on SQLite and on PostgreSQL: backup.py VEDETTE, within with-servers.sh.

Events come in while the backup is made; then everything is lost, and brought back.
"""

import base64
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid

from servers import DOCKER, Client, ControlPlane, first_sign_in, postgres, query

JPEG = (DOCKER.parent / "tests/media/obama.jpg").read_bytes()
ADMIN = "first password of the test 1"
KEY = "an api key of the backup's test"


def event():
    """An event with a picture of its own."""
    moment = time.time_ns() // 1_000_000
    event_id = uuid.UUID(int=(moment << 80) | (7 << 76) | (2 << 62) | uuid.uuid4().int % (1 << 62))
    comment = event_id.bytes
    picture = JPEG[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + JPEG[2:]
    return {
        "event_id": str(event_id), "kind": "unknown", "camera_id": "door", "track_id": 1, "stream_time_ms": 1,
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "confidence": 0.9, "quality": 0.8,
        "bounding_box": {"x": 1, "y": 1, "width": 9, "height": 9}, "frame": {"width": 99, "height": 99},
        "person": None, "snapshot": base64.b64encode(picture).decode(),
    }


def form(files):
    boundary = uuid.uuid4().hex
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="name"\r\n\r\nAda\r\n'.encode()]
    for path in files:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="images"; filename="{path.name}"\r\n\r\n'
        parts += [head.encode(), path.read_bytes(), b"\r\n"]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def contents(client):
    """Everything a backup has to hold, as the API shows it: pictures by their hash."""
    seen = {}
    page, total = 1, 1
    while len(seen) < total:
        listing = client.ask(f"/api/detections?page={page}&page_size=200")
        total, page = listing["total"], page + 1
        for detection in listing["items"]:
            status, _, picture = client.call(detection["snapshot_url"])
            assert status == 200, f"the picture of {detection['event_id']}: {status}"
            seen[detection["event_id"]] = hashlib.sha256(picture).hexdigest()
    for person in client.ask("/api/persons")["items"]:
        for face in client.ask(f"/api/persons/{person['id']}/faces"):
            status, _, picture = client.call(f"/api/persons/{person['id']}/faces/{face['id']}")
            assert status == 200, f"a photo of {person['name']}: {status}"
            seen[face["id"]] = hashlib.sha256(picture).hexdigest()
    return seen


class Case:
    """One kind of database, one folder."""

    def __init__(self, binary, folder, database):
        self.binary, self.folder, self.database = binary, folder, database
        self.data, self.backups = folder / "data", folder / "backups"

    def server(self):
        variables = {**self.database, "JWT_SECRET": "x" * 40, "ADMIN_PASSWORD": ADMIN, "API_KEY": KEY}
        return ControlPlane(self.binary, self.folder / "server", self.data, variables).wait()

    def run(self, script, *arguments):
        variables = {"PATH": os.environ["PATH"], "VEDETTE_DATA_DIR": str(self.data), **self.database}
        command = ["bash", str(DOCKER / script), *map(str, arguments)]
        return subprocess.run(command, env=variables, capture_output=True, text=True)

    def backup(self, *arguments):
        # A backup bears the second it was made in, and takes no other's place.
        newest = max((folder.name for folder in self.backups.glob("vedette-*")), default="")
        while newest == time.strftime("vedette-%Y%m%dT%H%M%SZ", time.gmtime()):
            time.sleep(0.05)
        done = self.run("backup.sh", "--to", self.backups, *arguments)
        assert done.returncode == 0, done.stderr
        return max(self.backups.glob("vedette-*"))

    def refuses(self, why, *arguments):
        done = self.run("restore.sh", *arguments)
        assert done.returncode != 0 and why in done.stderr, f"wanted `{why}`: {done.returncode} {done.stderr}"

    def restores(self, *arguments):
        done = self.run("restore.sh", *arguments)
        assert done.returncode == 0, done.stderr

    def lose_everything(self):
        shutil.rmtree(self.data)
        if self.database:
            query(self.database, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    def copy_key(self):
        """Never among the backups."""
        done = self.run("backup.sh", "--to", self.backups, "--key-to", self.backups / "key")
        assert done.returncode != 0 and "somewhere else" in done.stderr, done.stderr
        self.backup("--key-to", self.folder / "key")

    def check(self):
        with self.server() as server:
            client = first_sign_in(Client(server.url), ADMIN)
            body, headers = form([DOCKER.parent / f"tests/media/{name}.jpg" for name in ("obama", "obama2", "obama3")])
            client.ask("/api/persons/register", body=body, headers=headers)
            ingest = Client(server.url)
            taken_in = lambda events: ingest.ask("/api/ingest", body=events, headers={"X-API-Key": KEY})
            taken_in([event() for _ in range(60)])
            before = contents(client)
            assert len(before) == 63, len(before)

            # Events keep coming while it is made.
            done = threading.Event()
            def keep_coming():
                while not done.is_set():
                    taken_in([event() for _ in range(5)])
            stream = threading.Thread(target=keep_coming)
            stream.start()
            try:
                backup = self.backup()
            finally:
                done.set()
                stream.join()
            after = contents(client)
            assert len(after) > len(before)
            self.refuses("servers are connected" if self.database else "a server has the database open", backup, "--yes")
        # A server that encrypts nothing, or is given VEDETTE_KEY, has no key file.
        has_key = (self.data / "vedette.key").exists()
        if has_key:
            self.copy_key()
        assert oct(backup.stat().st_mode & 0o777) == "0o700", "only its owner may look into a backup"
        assert {path.name for path in backup.iterdir()} == {
            "manifest", "SHA256SUMS", "photos.tar", "snapshots.tar", "database.dump" if self.database else "database.sqlite"}

        # What is there stays, unless one says so.
        self.refuses("--yes replaces what is there", backup)
        self.restores(backup, "--check")
        self.damaged_is_refused(backup)
        with self.server() as server:
            assert contents(Client(server.url).sign_in()) == after, "a refused restore must change nothing"

        # All lost, then back on an empty host; and once more over what is there.
        self.lose_everything()
        self.restores(backup)
        if has_key:
            shutil.copy(self.folder / "key/vedette.key", self.data)
        for attempt in range(2):
            with self.server() as server:
                client = Client(server.url).sign_in()
                restored = contents(client)
                assert before.items() <= restored.items() <= after.items(), f"attempt {attempt}"
                ingest = Client(server.url)
                ingest.ask("/api/ingest", body=[event()], headers={"X-API-Key": KEY})
                backup_of_restored = self.backup("--keep", "1") if attempt else None
            if attempt == 0:
                self.restores(backup, "--yes")
        assert list(self.backups.glob("vedette-*")) == [backup_of_restored], "--keep 1"
        self.restores(backup_of_restored, "--yes")
        left = {path.name for path in self.data.iterdir() if path.name.startswith(".restore-")}
        assert not left, f"left behind: {left}"

    def check_s3(self):
        """The script is told that pictures are in S3: it looks after the rest, and touches no picture that is there."""
        with self.server():
            pass
        kept = self.data / "photos/kept.jpg"
        kept.write_bytes(JPEG)
        self.database["STORAGE_URL"] = "s3://bucket/pictures"
        backup = self.backup()
        assert {path.suffix for path in backup.iterdir()} <= {"", ".dump", ".sqlite"}, list(backup.iterdir())
        assert "pictures: s3://bucket/pictures" in (backup / "manifest").read_text()
        self.restores(backup, "--yes")
        assert kept.read_bytes() == JPEG
        del self.database["STORAGE_URL"]
        with self.server() as server:
            Client(server.url).sign_in()

    def damaged_is_refused(self, backup):
        """One byte changed, a file missing, a sum missing; and a dump that breaks off though its sum is right."""
        copy = self.folder / "damaged"
        database = "database.dump" if self.database else "database.sqlite"
        def fresh():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(backup, copy)
        fresh()
        with open(copy / "photos.tar", "r+b") as file:
            file.seek(700)
            file.write(b"x")
        self.refuses("is damaged", copy, "--yes")
        fresh()
        (copy / "snapshots.tar").unlink()
        self.refuses("is damaged", copy, "--yes")
        fresh()
        sums = (copy / "SHA256SUMS").read_text().splitlines(keepends=True)
        (copy / "SHA256SUMS").write_text("".join(line for line in sums if database not in line))
        self.refuses(f"no checksum of {database}", copy, "--yes")
        if self.database:
            fresh()
            os.truncate(copy / database, (copy / database).stat().st_size * 3 // 4)
            sums = subprocess.run("sha256sum -- manifest *.tar database.*", shell=True, cwd=copy, check=True,
                                  capture_output=True, text=True).stdout
            (copy / "SHA256SUMS").write_text(sums)
            self.refuses("could not be put back", copy, "--yes")


def main():
    binary = sys.argv[1]
    for name, database in (("SQLite", {}), ("PostgreSQL", postgres())):
        with tempfile.TemporaryDirectory() as folder:
            Case(binary, pathlib.Path(folder), database).check()
            Case(binary, pathlib.Path(folder), database).check_s3()
        print(f"backup and restore on {name}: ok", flush=True)


if __name__ == "__main__":
    main()
