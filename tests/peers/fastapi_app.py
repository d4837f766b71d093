"""What `bench_http` measures Vedette's control plane by: three of its routes as a Python developer would ship them,
with FastAPI, SQLAlchemy 2, InsightFace and OpenCV, on the same database, tokens and models.

    PEER_DATABASE=vedette.db PEER_JWT_SECRET=… PEER_DETECTOR=yunet.onnx PEER_EMBEDDER=sface.onnx \\
        uvicorn --app-dir tests/peers fastapi_app:app

Where there was a choice, it was made by measuring on two cores:

- Routes are plain functions on SQLAlchemy's synchronous engine, as FastAPI's documentation has it for libraries that
  block. The asynchronous engine answers a third fewer: with aiosqlite every statement crosses threads twice.
- Lists are read as rows and not as entities, and Pydantic writes them as JSON without a detour.
- What a token says is believed for less than a second, as Vedette does.
- The embedder is InsightFace's `ArcFaceONNX`. Its `SCRFD` cannot read YuNet's outputs, and OpenCV's `FaceDetectorYN`
  serves one request at a time, so YuNet runs in ONNX Runtime, too, and NumPy decodes it.
- PEER_THREADS is how many cores ONNX Runtime spreads one run over; without it that is all of them, as InsightFace has
  it. One is better for several requests at a time.
"""

import os
import time
import uuid
from base64 import b64decode
from datetime import datetime
from pathlib import Path
from typing import Annotated

import cv2
import jwt
import numpy as np
import onnxruntime
from fastapi import Depends, FastAPI, HTTPException, Query, Response, UploadFile
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from insightface.app.common import Face
from insightface.model_zoo.arcface_onnx import ArcFaceONNX
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt
from pydantic import BaseModel
from sqlalchemy import LargeBinary, String, TypeDecorator, create_engine, event, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DATABASE = Path(os.environ["PEER_DATABASE"])
KEPT_S = 0.8
"""How long a look-up of a token counts."""
INPUT_SIDE = 640
"""Longest side of the picture the detector sees."""
SESSION_OPTIONS = onnxruntime.SessionOptions()
SESSION_OPTIONS.intra_op_num_threads = int(os.environ.get("PEER_THREADS", "0"))
MIN_SCORE, MAX_OVERLAP = 0.6, 0.3
MIN_SIMILARITY, MIN_MARGIN = 0.363, 0.05

engine = create_engine(f"sqlite:///{DATABASE}", pool_size=40)


@event.listens_for(engine, "connect")
def set_up(connection, _record):
    """The settings Vedette gives its own connections."""
    for setting in ("cache_size = -32768", "synchronous = NORMAL", "busy_timeout = 5000", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {setting}")


class Base(DeclarativeBase):
    pass


class Id(TypeDecorator):
    """A UUID, stored as its 16 bytes."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else value.bytes

    def process_result_value(self, value, dialect):
        return None if value is None else uuid.UUID(bytes=value)


class Time(TypeDecorator):
    """A time in UTC, stored as RFC 3339 text."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else value.isoformat()

    def process_result_value(self, value, dialect):
        return None if value is None else datetime.fromisoformat(value)


class User(Base):
    __tablename__ = "users"
    id: Mapped[uuid.UUID] = mapped_column(Id, primary_key=True)
    role: Mapped[str]
    is_active: Mapped[bool]
    must_change_password: Mapped[bool]
    token_version: Mapped[int]


class RevokedToken(Base):
    __tablename__ = "revoked_tokens"
    jti: Mapped[uuid.UUID] = mapped_column(Id, primary_key=True)


class Person(Base):
    __tablename__ = "persons"
    id: Mapped[uuid.UUID] = mapped_column(Id, primary_key=True)
    name: Mapped[str]
    is_active: Mapped[bool]


class FaceTemplate(Base):
    __tablename__ = "face_templates"
    id: Mapped[uuid.UUID] = mapped_column(Id, primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(Id)
    template: Mapped[bytes]


class Detection(Base):
    __tablename__ = "detections"
    id: Mapped[uuid.UUID] = mapped_column(Id, primary_key=True)
    event_id: Mapped[uuid.UUID] = mapped_column(Id)
    kind: Mapped[str]
    timestamp: Mapped[datetime] = mapped_column(Time)
    stream_time_ms: Mapped[int]
    camera_id: Mapped[str]
    track_id: Mapped[int]
    person_id: Mapped[uuid.UUID | None] = mapped_column(Id)
    person_name: Mapped[str | None]
    similarity: Mapped[float | None]
    confidence: Mapped[float]
    quality: Mapped[float]
    box_x: Mapped[int]
    box_y: Mapped[int]
    box_width: Mapped[int]
    box_height: Mapped[int]
    frame_width: Mapped[int]
    frame_height: Mapped[int]
    age: Mapped[float | None]
    gender: Mapped[str | None]
    snapshot_path: Mapped[str | None]
    first_seen: Mapped[datetime | None] = mapped_column(Time)
    last_seen: Mapped[datetime | None] = mapped_column(Time)


class BoundingBox(BaseModel):
    x: int
    y: int
    width: int
    height: int


class FrameSize(BaseModel):
    width: int
    height: int


class DetectionView(BaseModel):
    id: uuid.UUID
    event_id: uuid.UUID
    kind: str
    timestamp: datetime
    stream_time_ms: int
    camera_id: str
    track_id: int
    person_id: uuid.UUID | None
    person_name: str | None
    similarity: float | None
    confidence: float
    quality: float
    bounding_box: BoundingBox
    frame: FrameSize
    age: float | None
    gender: str | None
    snapshot_url: str | None
    first_seen: datetime | None = None
    last_seen: datetime | None = None


class DetectionPage(BaseModel):
    items: list[DetectionView]
    total: int
    page: int
    page_size: int


class Point(BaseModel):
    x: float
    y: float


class KnownPerson(BaseModel):
    id: uuid.UUID
    name: str
    similarity: float


class FaceView(BaseModel):
    bounding_box: BoundingBox
    confidence: float
    landmarks: list[Point]
    person: KnownPerson | None


class DetectAnswer(BaseModel):
    width: int
    height: int
    elapsed_ms: float
    faces: list[FaceView]


class Health(BaseModel):
    status: str
    database: str
    face_detector: str
    api: str


app = FastAPI(title="The peer of Vedette's control plane")
known_tokens: dict[str, tuple[float, User]] = {}


def current_user(shown: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> User:
    """The user behind the token of a request."""
    try:
        claims = jwt.decode(
            shown.credentials, os.environ["PEER_JWT_SECRET"], algorithms=["HS256"], issuer="vedette",
            audience="vedette-api", leeway=5, options={"require": ["exp", "iss", "aud", "sub"]},
        )
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "the access token is missing, expired or void; sign in") from error
    known = known_tokens.get(claims["jti"])
    if known is None or known[0] < time.monotonic():
        with engine.connect() as connection:
            user = connection.execute(select(User.__table__).where(User.id == uuid.UUID(claims["sub"]))).first()
            revoked = connection.execute(select(RevokedToken.jti).where(RevokedToken.jti == uuid.UUID(claims["jti"])))
            if user is None or not user.is_active or revoked.first() is not None:
                raise HTTPException(401, "the access token is missing, expired or void; sign in")
        known = known_tokens[claims["jti"]] = (time.monotonic() + KEPT_S, user)
    user = known[1]
    if user.token_version != claims["ver"] or str(user.id) != claims["sub"]:
        raise HTTPException(401, "the access token is missing, expired or void; sign in")
    if user.must_change_password:
        raise HTTPException(403, "the password must be changed first")
    return user


SignedIn = Annotated[User, Depends(current_user)]


@app.get("/api/health")
def health(response: Response) -> Health:
    is_available = DATABASE.exists()
    if is_available:
        try:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1 FROM users LIMIT 1"))
        except Exception:
            is_available = False
    if not is_available:
        response.status_code = 503
    return Health(
        status="healthy" if is_available else "unhealthy",
        database="connected" if is_available else "unavailable",
        face_detector="initialized",
        api="running",
    )


@app.get("/api/detections", response_model_exclude_unset=True)
def detections(
    _user: SignedIn, page: Annotated[int, Query(ge=1)] = 1, page_size: Annotated[int, Query(ge=1, le=500)] = 50
) -> DetectionPage:
    newest_first = select(Detection.__table__).order_by(Detection.timestamp.desc(), Detection.id.desc())
    with engine.connect() as connection:
        total = connection.scalar(select(func.count()).select_from(Detection))
        rows = connection.execute(newest_first.offset((page - 1) * page_size).limit(page_size)).all()
    return DetectionPage(items=[detection_view(row) for row in rows], total=total, page=page, page_size=page_size)


def detection_view(row) -> DetectionView:
    seen = {name: value for name in ("first_seen", "last_seen") if (value := getattr(row, name)) is not None}
    return DetectionView(
        id=row.id, event_id=row.event_id, kind=row.kind, timestamp=row.timestamp, stream_time_ms=row.stream_time_ms,
        camera_id=row.camera_id, track_id=row.track_id, person_id=row.person_id, person_name=row.person_name,
        similarity=row.similarity, confidence=row.confidence, quality=row.quality,
        bounding_box=BoundingBox(x=row.box_x, y=row.box_y, width=row.box_width, height=row.box_height),
        frame=FrameSize(width=row.frame_width, height=row.frame_height), age=row.age, gender=row.gender,
        snapshot_url=f"/api/detections/{row.id}/snapshot" if row.snapshot_path else None, **seen,
    )


def open_session(file: str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(file, SESSION_OPTIONS, providers=["CPUExecutionProvider"])


class YuNet:
    """YuNet in ONNX Runtime: any number of requests at a time may ask the one session."""

    def __init__(self, file: str):
        self.session = open_session(file)
        self.outputs = [f"{kind}_{stride}" for stride in (8, 16, 32) for kind in ("cls", "obj", "bbox", "kps")]

    def detect(self, picture: np.ndarray) -> list[Face]:
        """The faces of a picture (blue first), surest first."""
        height, width = picture.shape[:2]
        scale = INPUT_SIDE / max(height, width)
        scaled = picture if scale == 1 else cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        below, right = -scaled.shape[0] % 32, -scaled.shape[1] % 32
        padded = cv2.copyMakeBorder(scaled, 0, below, 0, right, cv2.BORDER_CONSTANT)
        outputs = self.session.run(self.outputs, {"input": cv2.dnn.blobFromImage(padded)})
        boxes, points, scores = [], [], []
        for stride, (cls, obj, bbox, kps) in zip((8, 16, 32), zip(*[iter(outputs)] * 4)):
            score = np.sqrt(np.clip(cls[0, :, 0], 0, 1) * np.clip(obj[0, :, 0], 0, 1))
            (found,) = np.nonzero(score >= MIN_SCORE)
            row, column = np.divmod(found, padded.shape[1] // stride)
            cell = np.stack([column, row], axis=1)
            size = np.exp(bbox[0, found, 2:]) * stride
            boxes.append(np.hstack([(cell + bbox[0, found, :2]) * stride - size / 2, size]))
            points.append((cell[:, None] + kps[0, found].reshape(-1, 5, 2)) * stride)
            scores.append(score[found])
        boxes, points, scores = np.vstack(boxes) / scale, np.vstack(points) / scale, np.hstack(scores)
        kept = cv2.dnn.NMSBoxes(boxes, scores, MIN_SCORE, MAX_OVERLAP)
        return [Face(bbox=boxes[i], kps=points[i].astype(np.float32), det_score=float(scores[i])) for i in kept]


def opened(face_id: uuid.UUID, sealed: bytes) -> bytes:
    """A template, which is kept encrypted: version, key id, nonce, cipher text."""
    lines = DATABASE.with_name("vedette.key").read_text().splitlines()
    key = b64decode(next(line for line in lines if not line.startswith("#")))
    return crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[29:], f"template {face_id}".encode(), sealed[5:29], key)


class Gallery:
    """The enrolled people."""

    def __init__(self):
        enrolled = select(Person.id, Person.name, FaceTemplate.id.label("face_id"), FaceTemplate.template)
        enrolled = enrolled.join_from(FaceTemplate, Person, FaceTemplate.person_id == Person.id)
        with engine.connect() as connection:
            rows = connection.execute(enrolled.where(Person.is_active)).all()
        self.people = [(row.id, row.name) for row in rows]
        self.templates = np.array([np.frombuffer(opened(row.face_id, row.template), "<f4") for row in rows])

    def find(self, embedding: np.ndarray) -> KnownPerson | None:
        """Whom a face shows, if that is clear."""
        if not self.people:
            return None
        similarities = self.templates @ embedding
        best = int(similarities.argmax())
        others = [i for i, (person, _) in enumerate(self.people) if person != self.people[best][0]]
        runner_up = similarities[others].max() if others else -1
        if similarities[best] < MIN_SIMILARITY or similarities[best] - runner_up < MIN_MARGIN:
            return None
        person, name = self.people[best]
        return KnownPerson(id=person, name=name, similarity=float(similarities[best]))


detector = YuNet(os.environ["PEER_DETECTOR"])
embedder = ArcFaceONNX(os.environ["PEER_EMBEDDER"], open_session(os.environ["PEER_EMBEDDER"]))
# SFace normalises inside its graph.
embedder.input_mean, embedder.input_std = 0.0, 1.0
gallery = Gallery()


@app.post("/api/detect")
def detect(_user: SignedIn, image: UploadFile) -> DetectAnswer:
    started = time.perf_counter()
    picture = cv2.imdecode(np.frombuffer(image.file.read(), np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise HTTPException(415, "the file is not a picture this server reads")
    height, width = picture.shape[:2]
    faces = []
    for face in detector.detect(picture):
        embedder.get(picture, face)
        x, y, box_width, box_height = (round(float(side)) for side in face.bbox)
        faces.append(FaceView(
            bounding_box=BoundingBox(x=x, y=y, width=box_width, height=box_height), confidence=face.det_score,
            landmarks=[Point(x=x, y=y) for x, y in face.kps.tolist()], person=gallery.find(face.normed_embedding),
        ))
    elapsed_ms = (time.perf_counter() - started) * 1000
    return DetectAnswer(width=width, height=height, elapsed_ms=elapsed_ms, faces=faces)
