"""A recogniser by itself, without a call: what is said in a WAV file? It needs no network."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import attrs
import trio

from models.audio import read_wav
from models.stt.pocketsphinx import PocketsphinxConfig, pocketsphinx_spec
from models.stt.protocol import Audio, CloseStream, OpenStream, StreamClosed, Transcript
from models.faults import ModelFault
from supervision import Actor, Request, handles, open_system

PHRASES = Path(__file__).parents[1] / "bench" / "phrases"
EXPECTED = ("what time do you open", "hello can you hear me", "wait I have a question")
FRAME = 640
"""Bytes: 20 ms at 16 kHz."""
