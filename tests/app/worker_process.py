"""A worker as a process of its own, with short intervals: home folder, seconds of a claim, secret."""

import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from app.db import Database
from app.deliveries import Plan
from app.settings import Settings
from app.worker import Worker

settings = Settings(home=Path(sys.argv[1]), secret=SecretStr(sys.argv[3]), webhook_allow="127.0.0.0/8")
plan = Plan(retries=(timedelta(milliseconds=200),) * 7, claim=timedelta(seconds=float(sys.argv[2])))
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
worker = Worker(settings, Database(settings.url), plan, every=0.1)
worker.start()
print("working", flush=True)
stop.wait()
worker.stop()
